//! A layer `f([x, e]·W + b)` as one operation of burn's, with its own backward pass.
//!
//! ```text
//! g = f'(…)·∂/∂output        ∂/∂x = g·Wₓᵀ        ∂/∂W = [x, e]ᵀ·g        ∂/∂b = Σ g
//! ```
//!
//! burn's tape runs through activations and biases. Weights, which are nearly all of a network, stay where they lie: products read them from the flat vector of all parameters, and the
//! backward pass writes their gradient to its place in a vector alike. Copied to tensors and back, they would take longer than they are multiplied.

use super::network::{Activation, Dense};
use crate::math::dense::{Accumulate, product};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};
use faer::{MatMut, MatRef};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// Where a backward pass puts the gradient in the weights.
#[derive(Debug, Default)]
pub(super) struct WeightGradient {
    /// The flat vector, as long as a backward pass runs.
    pub flat: Vec<f32>,
    /// Whether it is added to what is there.
    pub add: bool,
}

/// An operation's constants.
#[derive(Debug)]
pub(super) struct Layer {
    /// Shape and place.
    pub dense: Dense,
    /// Of all but the last.
    pub activation: Option<Activation>,
    /// `e`, `[time][feature]`, where the layer has it.
    pub encoding: Option<Arc<Vec<f32>>>,
    /// Of the network, in both vectors.
    pub first: usize,
    pub parameters: Arc<Vec<f32>>,
    pub gradient: Arc<Mutex<WeightGradient>>,
}

/// The layer's outputs for `x`, `[time, input]`; biases apart, so that burn knows of something to differentiate in.
pub(super) fn layer(x: Tensor<2>, bias: Tensor<1>, operation: Layer) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::layer(x.into_dispatch(), bias.into_dispatch(), Arc::new(operation)))
}

/// The operation as a backend has it.
#[backend_extension(Autodiff, Flex)]
trait LayerBackend: Backend {
    fn layer(x: FloatTensor<Self>, bias: FloatTensor<Self>, operation: Arc<Layer>) -> FloatTensor<Self>;
}

impl LayerBackend for Flex {
    fn layer(x: FloatTensor<Self>, bias: FloatTensor<Self>, operation: Arc<Layer>) -> FloatTensor<Self> {
        let y = operation.forward(&x, &bias, None);
        operation.tensor(y)
    }
}

impl<C: CheckpointStrategy> LayerBackend for Autodiff<Flex, C> {
    fn layer(x: FloatTensor<Self>, bias: FloatTensor<Self>, operation: Arc<Layer>) -> FloatTensor<Self> {
        let nodes = [x.node(), bias.node()];
        let (x, bias) = (x.into_primitive(), bias.into_primitive());
        let mut slope = Vec::new();
        let y = operation.forward(&x, &bias, Some(&mut slope));
        let y = operation.tensor(y);
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(Saved { operation, x, slope: Arc::new(slope) }, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

impl Layer {
    fn tensor(&self, y: Vec<f32>) -> FloatTensor<Flex> {
        let shape = [y.len() / self.dense.outputs, self.dense.outputs];
        FloatTensor::<Flex>::from_data(TensorData::new(y, shape))
    }

    /// Weights of the inputs that come from the layer before, and of the encoding.
    fn weights(&self) -> (MatRef<'_, f32>, MatRef<'_, f32>) {
        let (inputs, outputs) = (self.dense.inputs, self.dense.outputs);
        let at = self.first + self.dense.weights;
        let all = MatRef::from_row_major_slice(&self.parameters[at..at + inputs * outputs], inputs, outputs);
        all.split_at_row(inputs - self.dense.beside)
    }

    /// Outputs, `[time][output]`; with `slope`, the derivatives of the activation, too.
    fn forward(&self, x: &FloatTensor<Flex>, bias: &FloatTensor<Flex>, slope: Option<&mut Vec<f32>>) -> Vec<f32> {
        let (x, bias) = (numbers(x), numbers(bias));
        let (own, beside) = self.weights();
        let (times, outputs) = (x.len() / own.nrows(), self.dense.outputs);
        let mut y = vec![0.0; times * outputs];
        let mut z = MatMut::from_row_major_slice_mut(&mut y, times, outputs);
        product(z.as_mut(), Accumulate::Replace, MatRef::from_row_major_slice(&x, times, own.nrows()), own);
        if let Some(e) = &self.encoding {
            product(z, Accumulate::Add, MatRef::from_row_major_slice(e, times, beside.nrows()), beside);
        }
        y.par_chunks_mut(outputs).for_each(|row| row.iter_mut().zip(&*bias).for_each(|(z, b)| *z += b));
        match (self.activation, slope) {
            (None, _) => {}
            (Some(f), None) => y.par_chunks_mut(CHUNK).for_each(|z| z.iter_mut().for_each(|z| *z = f.with_slope(*z).0)),
            (Some(f), Some(slope)) => {
                slope.resize(y.len(), 0.0);
                y.par_chunks_mut(CHUNK).zip(slope.par_chunks_mut(CHUNK)).for_each(|(z, slope)| {
                    z.iter_mut().zip(slope).for_each(|(z, slope)| (*z, *slope) = f.with_slope(*z));
                });
            }
        }
        y
    }
}

/// The backward step.
#[derive(Debug)]
struct Step;

/// What it starts from.
#[derive(Debug, Clone)]
struct Saved {
    operation: Arc<Layer>,
    x: FloatTensor<Flex>,
    /// Derivatives of the activation; empty where there is none.
    slope: Arc<Vec<f32>>,
}

impl Backward<Flex, 2> for Step {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Saved { operation, x, slope } = ops.state;
        let found = gradients.consume::<Flex>(&ops.node);
        let mut g = numbers(&found);
        if !slope.is_empty() {
            // In the slope's place, where nobody else has it.
            let mut own = Arc::unwrap_or_clone(slope);
            own.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).for_each(|(own, g)| {
                own.iter_mut().zip(g).for_each(|(a, g)| *a *= g);
            });
            g = Cow::Owned(own);
        }
        let Dense { inputs, outputs, weights, .. } = operation.dense;
        let times = g.len() / outputs;
        let rows = MatRef::from_row_major_slice(&g, times, outputs);
        let (own, beside) = operation.weights();
        {
            let mut to = operation.gradient.lock().unwrap_or_else(PoisonError::into_inner);
            let accumulate = if to.add { Accumulate::Add } else { Accumulate::Replace };
            let at = operation.first + weights;
            let to = MatMut::from_row_major_slice_mut(&mut to.flat[at..at + inputs * outputs], inputs, outputs);
            let (to_own, to_beside) = to.split_at_row_mut(own.nrows());
            let x = numbers(&x);
            product(to_own, accumulate, MatRef::from_row_major_slice(&x, times, own.nrows()).transpose(), rows);
            if let Some(e) = &operation.encoding {
                let e = MatRef::from_row_major_slice(e, times, beside.nrows());
                product(to_beside, accumulate, e.transpose(), rows);
            }
        }
        let [of_x, of_bias] = ops.parents;
        if let Some(parent) = of_x {
            let mut back = vec![0.0; times * own.nrows()];
            let to = MatMut::from_row_major_slice_mut(&mut back, times, own.nrows());
            product(to, Accumulate::Replace, rows, own.transpose());
            let back = TensorData::new(back, x.shape());
            gradients.register::<Flex>(parent.id, FloatTensor::<Flex>::from_data(back));
        }
        if let Some(parent) = of_bias {
            let mut sum = vec![0.0; outputs];
            for row in g.chunks_exact(outputs) {
                sum.iter_mut().zip(row).for_each(|(a, b)| *a += b);
            }
            gradients.register::<Flex>(parent.id, FloatTensor::<Flex>::from_data(TensorData::new(sum, [outputs])));
        }
    }
}

/// The numbers of a tensor of this crate's making, row-major.
fn numbers(tensor: &FloatTensor<Flex>) -> Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(tensor.to_contiguous().into_data().iter::<f32>().collect()),
    }
}
