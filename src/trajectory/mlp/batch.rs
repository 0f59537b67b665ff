//! Many times at once, on burn: matrix products in single precision, and gradients by reverse-mode differentiation.

use super::Mlp;
use super::network::Activation;
use crate::trajectory::Pose;
use burn::tensor::{Device, Tensor, TensorData, activation};

/// The times at which a network is evaluated together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[time][feature]`.
    encoding: Tensor<2>,
    times: usize,
    device: Device,
}

/// An evaluation that remembers how it was made.
pub struct Record {
    leaves: Vec<(Tensor<2>, Tensor<1>)>,
    output: Tensor<2>,
    device: Device,
    /// `[time][output]`.
    y: Vec<f64>,
}

impl Mlp {
    /// Makes times ready.
    pub fn batch(&self, times: &[f64]) -> Batch {
        // Derivatives are recorded on the processor: a network of this kind is small, its batches are hundreds of frames.
        let device = Device::flex().autodiff();
        let features = self.encoding.len();
        let mut rows = vec![0.0; features];
        let mut all = Vec::with_capacity(times.len() * features);
        for &t in times {
            self.encoding.features(t, &mut rows);
            all.extend(rows.iter().map(|&x| x as f32));
        }
        let encoding = Tensor::from_data(TensorData::new(all, [times.len(), features]), &device);
        Batch { encoding, times: times.len(), device }
    }

    /// Evaluates the network, with `parameters` in the place of its own, at all times of a batch.
    pub fn record(&self, parameters: &[f32], batch: &Batch) -> Record {
        let tensor = |from: &[f32], shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(from.to_vec(), shape), &batch.device).require_grad()
        };
        let mut leaves = Vec::with_capacity(self.network.layers.len());
        let mut h = batch.encoding.clone();
        for (i, layer) in self.network.layers.iter().enumerate() {
            let weights = tensor(&parameters[layer.weights..layer.bias], [layer.inputs, layer.outputs]);
            let bias = TensorData::new(parameters[layer.bias..layer.bias + layer.outputs].to_vec(), [layer.outputs]);
            let bias = Tensor::<1>::from_data(bias, &batch.device).require_grad();
            h = h.matmul(weights.clone()) + bias.clone().unsqueeze();
            leaves.push((weights, bias));
            if i + 1 < self.network.layers.len() {
                h = match self.network.activation {
                    Activation::Silu => activation::silu(h),
                    Activation::Relu => activation::relu(h),
                };
                if i < self.network.concatenated {
                    h = Tensor::cat(vec![h, batch.encoding.clone()], 1);
                }
            }
        }
        let y = h.clone().into_data().iter::<f32>().map(f64::from).collect();
        Record { leaves, output: h, device: batch.device.clone(), y }
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

    /// Adds the gradient in the parameters of a gradient in the poses, `[time][degree of freedom]`.
    pub fn pull_back(self, mlp: &Mlp, gradient: &[f64], out: &mut [f32]) {
        let (outputs, dofs) = (mlp.head.outputs(), mlp.layout.dofs());
        let mut seed = vec![0.0f32; self.y.len()];
        let mut row = vec![0.0; outputs];
        for ((y, g), to) in
            self.y.chunks_exact(outputs).zip(gradient.chunks_exact(dofs)).zip(seed.chunks_exact_mut(outputs))
        {
            mlp.head.pull(y, g, &mut row);
            to.iter_mut().zip(&row).for_each(|(a, b)| *a = *b as f32);
        }
        let shape = [self.y.len() / outputs, outputs];
        let seed = Tensor::<2>::from_data(TensorData::new(seed, shape), &self.device);
        // The sum's gradient in the output is the seed.
        let gradients = (self.output * seed).sum().backward();
        for (layer, (weights, bias)) in mlp.network.layers.iter().zip(&self.leaves) {
            let mut add = |from: TensorData, at: usize| {
                out[at..].iter_mut().zip(from.iter::<f32>()).for_each(|(a, b)| *a += b);
            };
            // A leaf that the output does not depend on has none.
            if let Some(g) = weights.grad(&gradients) {
                add(g.into_data(), layer.weights);
            }
            if let Some(g) = bias.grad(&gradients) {
                add(g.into_data(), layer.bias);
            }
        }
    }
}
