//! Many times at once, on burn: matrix products in single precision, and gradients by reverse-mode differentiation.

use super::Mlp;
use super::layer::{Layer, WeightGradient, layer};
use crate::trajectory::Pose;
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::{Arc, Mutex, PoisonError};

/// The times at which a network is evaluated together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[time][feature]`.
    encoding: Arc<Vec<f32>>,
    times: usize,
}

/// An evaluation that remembers how it was made.
pub struct Record {
    biases: Vec<Tensor<1>>,
    output: Tensor<2>,
    device: Device,
    /// Where a backward pass writes.
    gradient: Arc<Mutex<WeightGradient>>,
    /// The network's place in the flat vectors.
    first: usize,
    /// `[time][output]`.
    y: Vec<f64>,
}

impl Mlp {
    /// Makes times ready.
    pub fn batch(&self, times: &[f64]) -> Batch {
        let features = self.encoding.len();
        let mut rows = vec![0.0; features];
        let mut all = Vec::with_capacity(times.len() * features);
        for &t in times {
            self.encoding.features(t, &mut rows);
            all.extend(rows.iter().map(|&x| x as f32));
        }
        Batch { encoding: Arc::new(all), times: times.len() }
    }

    /// Evaluates the network at all times of a batch, with those of `parameters` from `first` on in the place of its own.
    pub fn record(&self, parameters: &Arc<Vec<f32>>, first: usize, batch: &Batch) -> Record {
        self.evaluate(parameters, first, batch, Device::flex().autodiff())
    }

    /// Poses alone, of which no gradient will be taken: burn would keep all that one needs until another is.
    pub fn poses(&self, parameters: &Arc<Vec<f32>>, first: usize, batch: &Batch, out: &mut [Pose]) {
        self.evaluate(parameters, first, batch, Device::flex()).poses(self, out);
    }

    /// On the processor: a network of this kind is small, its batches are hundreds of frames.
    fn evaluate(&self, parameters: &Arc<Vec<f32>>, first: usize, batch: &Batch, device: Device) -> Record {
        let gradient = Arc::new(Mutex::new(WeightGradient::default()));
        let network = &self.network;
        let encoding = TensorData::new(batch.encoding.to_vec(), [batch.times, network.encoding]);
        let mut h = Tensor::<2>::from_data(encoding, &device);
        let mut biases = Vec::with_capacity(network.layers.len());
        for (i, &dense) in network.layers.iter().enumerate() {
            let at = first + dense.bias;
            let bias = TensorData::new(parameters[at..at + dense.outputs].to_vec(), [dense.outputs]);
            let bias = Tensor::<1>::from_data(bias, &device);
            let bias = if device.is_autodiff() { bias.require_grad() } else { bias };
            biases.push(bias.clone());
            let operation = Layer {
                dense,
                activation: (i + 1 < network.layers.len()).then_some(network.activation),
                encoding: (dense.beside > 0).then(|| batch.encoding.clone()),
                first,
                parameters: parameters.clone(),
                gradient: gradient.clone(),
            };
            h = layer(h, bias, operation);
        }
        let y = h.clone().into_data().iter::<f32>().map(f64::from).collect();
        Record { biases, output: h, device, gradient, first, y }
    }
}

impl Batch {
    /// Number of times.
    pub fn len(&self) -> usize {
        self.times
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times == 0
    }
}

impl Record {
    /// Writes the poses, one for each time of the batch.
    pub fn poses(&self, mlp: &Mlp, out: &mut [Pose]) {
        for (pose, y) in out.iter_mut().zip(self.y.chunks_exact(mlp.head.outputs())) {
            mlp.head.pose(y, pose);
        }
    }

    /// Writes the gradient in the network's parameters to their places in `out`, or adds it there, for a gradient in the poses, `[time][degree of freedom]`.
    pub fn pull_back(self, mlp: &Mlp, gradient: &[f64], out: &mut Vec<f32>, add: bool) {
        let (outputs, dofs) = (mlp.head.outputs(), mlp.layout.dofs());
        let mut of_outputs = vec![0.0; self.y.len()];
        let rows = of_outputs.chunks_exact_mut(outputs);
        for ((y, g), to) in self.y.chunks_exact(outputs).zip(gradient.chunks_exact(dofs)).zip(rows) {
            mlp.head.pull(y, g, to);
        }
        self.pull_back_outputs(mlp, &of_outputs, out, add);
    }

    /// The network's outputs, `[time][output]`.
    pub fn outputs(&self) -> &[f64] {
        &self.y
    }

    /// The same for a gradient in [`Self::outputs`].
    pub fn pull_back_outputs(self, mlp: &Mlp, gradient: &[f64], out: &mut Vec<f32>, add: bool) {
        let outputs = mlp.head.outputs();
        let seed: Vec<f32> = gradient.iter().map(|g| *g as f32).collect();
        let shape = [self.y.len() / outputs, outputs];
        let seed = Tensor::<2>::from_data(TensorData::new(seed, shape), &self.device);
        let place = || self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        // The tape is burn's and may outlive a borrow: the vector goes there and comes back.
        *place() = WeightGradient { flat: std::mem::take(out), add };
        // The sum's gradient in the output is the seed.
        let gradients = (self.output.clone() * seed).sum().backward();
        *out = std::mem::take(&mut place().flat);
        for (dense, bias) in mlp.network.layers.iter().zip(&self.biases) {
            let to = &mut out[self.first + dense.bias..][..dense.outputs];
            if !add {
                to.fill(0.0);
            }
            // A leaf that the output does not depend on has none.
            if let Some(found) = bias.grad(&gradients) {
                to.iter_mut().zip(found.into_data().iter::<f32>()).for_each(|(a, b)| *a += b);
            }
        }
    }
}
