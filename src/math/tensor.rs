//! What operations with gradients of their own need of burn: arguments checked, numbers out of tensors and back, a step on its tape.
//!
//! Everything is computed in `f64`; tensors may be `f32` or `f64`. Frames are taken in chunks of a fixed size, and sums over them in order: the bits of a result do not
//! depend on the number of threads.

use crate::{Error, Result};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, GradientCheckpointingStrategy, TensorMetadata};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

/// Frames that one thread takes at a time.
const CHUNK: usize = 32;

/// The chunks of so many frames, in order.
pub(crate) fn chunks(frames: usize) -> impl IndexedParallelIterator<Item = Range<usize>> {
    (0..frames.div_ceil(CHUNK)).into_par_iter().map(move |c| c * CHUNK..frames.min((c + 1) * CHUNK))
}

/// An operation's arguments, as they are checked one after the other.
pub(crate) struct Arguments {
    operation: &'static str,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Arguments {
    pub fn of(operation: &'static str) -> Self {
        Self { operation, checkpointing: None }
    }

    /// Errors unless a tensor is of this shape, of `f32` or `f64`, on the Flex backend, and checkpointed as those before it: burn's own panics at the latter two.
    /// `axes` says in words what the shape is.
    pub fn check<const D: usize>(
        &mut self,
        name: &str,
        tensor: &Tensor<D>,
        shape: [usize; D],
        axes: &str,
    ) -> Result<()> {
        let wrong = |problem: String, advice: &str| {
            Err(Error::input(format_args!("operation `{}`, argument `{name}`", self.operation), problem, advice))
        };
        if tensor.dims() != shape {
            let problem = format!("its shape is {:?}, and {shape:?} was expected: {axes}", tensor.dims());
            return wrong(problem, "reshape it, or make it for this model and these cameras");
        }
        if !matches!(tensor.dtype(), DType::F32 | DType::F64) {
            return wrong(format!("its numbers are {:?}", tensor.dtype()), "cast it to f32 or f64");
        }
        let device = tensor.device();
        if device != Device::flex() {
            return wrong(format!("it is on {device:?}"), "move it to `Device::flex()`");
        }
        let strategy = device.gradient_checkpointing_strategy();
        if self.checkpointing.is_some() && strategy.is_some() && self.checkpointing != strategy {
            let problem = "its strategy of gradient checkpointing is not that of the arguments before it";
            return wrong(problem.into(), "use `with_gradient_checkpointing_strategy` on all or none");
        }
        self.checkpointing = self.checkpointing.or(strategy);
        Ok(())
    }
}

/// The numbers of a tensor, row-major.
pub(crate) fn numbers(tensor: &FloatTensor<Flex>) -> Vec<f64> {
    let tensor = tensor.to_contiguous();
    if let Some(values) = tensor.as_slice::<f64>() {
        values.to_vec()
    } else if let Some(values) = tensor.as_slice::<f32>() {
        values.iter().map(|v| f64::from(*v)).collect()
    } else {
        tensor.into_data().iter::<f64>().collect()
    }
}

/// A tensor of these numbers, row-major, and of this type.
pub(crate) fn tensor(values: Vec<f64>, shape: &[usize], dtype: DType) -> FloatTensor<Flex> {
    let data = match dtype {
        DType::F64 => TensorData::new(values, shape.to_vec()),
        _ => TensorData::new(values.iter().map(|v| *v as f32).collect(), shape.to_vec()),
    };
    FloatTensor::<Flex>::from_data(data)
}

/// A function of `N` arrays whose gradient is known.
pub(crate) trait PullBack<const N: usize>: Debug + Send + Sync + 'static {
    /// Gradients in the inputs, each of its input's length, from the one in the output; all row-major.
    fn pull_back(&self, inputs: &[Vec<f64>; N], output: &[f64]) -> [Vec<f64>; N];
}

/// Puts an operation on the tape: `output` is what it makes of `inputs`. Gradients come in the types of the inputs.
pub(crate) fn record<C: CheckpointStrategy, F: PullBack<N>, const N: usize>(
    operation: Arc<F>,
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    output: FloatTensor<Flex>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    match Step::<F>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let inputs = inputs.map(|input| input.into_primitive());
            prepared.finish(Saved { operation, inputs }, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// The backward step of an operation.
#[derive(Debug)]
struct Step<F>(PhantomData<F>);

/// What the backward step starts from: everything else is computed anew, which is cheaper than to keep it.
#[derive(Debug)]
struct Saved<F, const N: usize> {
    operation: Arc<F>,
    inputs: [FloatTensor<Flex>; N],
}

impl<F, const N: usize> Clone for Saved<F, N> {
    fn clone(&self) -> Self {
        Self { operation: self.operation.clone(), inputs: self.inputs.clone() }
    }
}

impl<F: PullBack<N>, const N: usize> Backward<Flex, N> for Step<F> {
    type State = Saved<F, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Saved { operation, inputs } = ops.state;
        let output = numbers(&gradients.consume::<Flex>(&ops.node));
        let found = operation.pull_back(&inputs.each_ref().map(numbers), &output);
        for ((parent, input), values) in ops.parents.into_iter().zip(&inputs).zip(found) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, tensor(values, &input.shape(), input.dtype()));
            }
        }
    }
}

/// What tests of operations share.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use burn::tensor::Gradients;
    use rand::Rng;

    /// A tensor of these numbers for which gradients are taken.
    pub fn free<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
        fixed(values, shape, dtype, &Device::flex().autodiff()).require_grad()
    }

    pub fn fixed<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape).convert_dtype(dtype), (device, dtype))
    }

    pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
        tensor.to_data().iter::<f64>().collect()
    }

    /// The gradient found for a tensor, of whose shape and type it is.
    pub fn gradient<const D: usize>(of: &Tensor<D>, gradients: &Gradients) -> Vec<f64> {
        let found = of.grad(gradients).unwrap();
        assert_eq!((found.dims(), found.dtype()), (of.dims(), of.dtype()));
        values(&found)
    }

    pub fn random(rng: &mut impl Rng, count: usize, size: f64) -> Vec<f64> {
        (0..count).map(|_| size * rng.random_range(-1.0..1.0)).collect()
    }

    /// Σ weights · output, whose gradient in the output are the weights.
    pub fn work<const D: usize>(output: Tensor<D>, weights: &[f64]) -> Tensor<1> {
        let weights = fixed(weights, output.dims(), output.dtype(), &Device::flex());
        (output * weights).sum()
    }

    /// The same with the given number of threads.
    pub fn with_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
    }
}
