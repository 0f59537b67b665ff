//! The layers: `h ← f(W·[h, e] + b)`, the encoding `e` beside the outputs of the first ones, and a linear last one.
//!
//! Parameters are one flat vector, layer by layer: weights, `[input][output]`, then biases. What is here evaluates one time in double precision, with exact derivatives in time and in
//! the parameters; many times at once are [`super::batch`]'s.

use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

/// What bends a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x/(1 + e^{−x})`: smooth, so that accelerations exist everywhere.
    Silu,
    /// `max(x, 0)`, as published: accelerations of the pose are those of the encoding alone.
    Relu,
}

impl Activation {
    /// Value and derivative, in single precision.
    #[inline]
    pub(super) fn with_slope(self, x: f32) -> (f32, f32) {
        match self {
            Self::Silu => {
                let s = 1.0 / (1.0 + (-x).exp());
                (x * s, s + x * s * (1.0 - s))
            }
            Self::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
        }
    }

    /// Value, first and second derivative.
    fn expand(self, x: f64) -> [f64; 3] {
        match self {
            Self::Silu => {
                let s = 1.0 / (1.0 + (-x).exp());
                let d = s * (1.0 - s);
                [x * s, s + x * d, d * (2.0 + x * (1.0 - 2.0 * s))]
            }
            Self::Relu => [x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }, 0.0],
        }
    }
}

/// One layer's place in the flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense {
    /// All of them.
    pub inputs: usize,
    /// How many of these, the last ones, are the encoding beside the outputs of the layer before.
    pub beside: usize,
    /// How many come out.
    pub outputs: usize,
    /// Where the weights begin.
    pub weights: usize,
    /// Where the biases begin.
    pub bias: usize,
}

/// The shape of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// In order; the last is linear.
    pub layers: Vec<Dense>,
    /// Features of the encoding.
    pub encoding: usize,
    /// The outputs of that many layers have the encoding beside them.
    pub concatenated: usize,
    /// Of all layers but the last.
    pub activation: Activation,
}

impl Network {
    /// Hidden layers of the given sizes.
    pub fn new(encoding: usize, hidden: &[usize], outputs: usize, concatenated: usize, activation: Activation) -> Self {
        let mut layers = Vec::with_capacity(hidden.len() + 1);
        let (mut inputs, mut beside, mut weights) = (encoding, 0, 0);
        for (i, &outputs) in hidden.iter().chain(std::iter::once(&outputs)).enumerate() {
            let bias = weights + inputs * outputs;
            layers.push(Dense { inputs, beside, outputs, weights, bias });
            weights = bias + outputs;
            beside = if i < concatenated { encoding } else { 0 };
            inputs = outputs + beside;
        }
        Self { layers, encoding, concatenated, activation }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.layers.last().map_or(0, |l| l.bias + l.outputs)
    }

    /// Random parameters, uniform within `±1/√inputs`; the last layer's weights times `last`, its biases as given.
    pub fn random(&self, rng: &mut impl RngCore, last: f64, bias: &[f64]) -> Vec<f32> {
        let mut out = vec![0.0; self.parameters()];
        for layer in &self.layers {
            let bound = 1.0 / (layer.inputs as f64).sqrt();
            for p in &mut out[layer.weights..layer.bias + layer.outputs] {
                *p = rng.random_range(-bound..bound) as f32;
            }
        }
        if let Some(layer) = self.layers.last() {
            out[layer.weights..layer.bias].iter_mut().for_each(|w| *w *= last as f32);
            out[layer.bias..].iter_mut().zip(bias).for_each(|(p, b)| *p = *b as f32);
        }
        out
    }

    /// Inputs of every layer for an encoding, and the outputs.
    fn forward<P: Copy + Into<f64>>(&self, parameters: &[P], encoding: &[f64]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let (mut inputs, mut sums) = (vec![encoding.to_vec()], Vec::new());
        for (i, layer) in self.layers.iter().enumerate() {
            let sum = layer.apply(parameters, &inputs[i], true);
            if i + 1 < self.layers.len() {
                let mut next: Vec<f64> = sum.iter().map(|&x| self.activation.expand(x)[0]).collect();
                if i < self.concatenated {
                    next.extend(encoding);
                }
                inputs.push(next);
            }
            sums.push(sum);
        }
        (inputs, sums)
    }

    /// Outputs for an encoding.
    pub fn outputs<P: Copy + Into<f64>>(&self, parameters: &[P], encoding: &[f64]) -> Vec<f64> {
        self.forward(parameters, encoding).1.pop().unwrap_or_default()
    }

    /// Outputs and their first and second derivatives in time for those of the encoding.
    pub fn jet<P: Copy + Into<f64>>(&self, parameters: &[P], encoding: [&[f64]; 3]) -> [Vec<f64>; 3] {
        let mut h = encoding.map(<[f64]>::to_vec);
        for (i, layer) in self.layers.iter().enumerate() {
            let [x, xd, xdd] = [0, 1, 2].map(|order| layer.apply(parameters, &h[order], order == 0));
            if i + 1 == self.layers.len() {
                return [x, xd, xdd];
            }
            h = [Vec::new(), Vec::new(), Vec::new()];
            for ((x, xd), xdd) in x.iter().zip(&xd).zip(&xdd) {
                let [f, d, dd] = self.activation.expand(*x);
                h[0].push(f);
                h[1].push(d * xd);
                h[2].push(d * xdd + dd * xd * xd);
            }
            if i < self.concatenated {
                h.iter_mut().zip(encoding).for_each(|(h, e)| h.extend(e));
            }
        }
        h
    }

    /// Outputs, and how they move with a tangent of the parameters.
    pub fn push<P: Copy + Into<f64>>(
        &self,
        parameters: &[P],
        tangent: &[f64],
        encoding: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let (inputs, mut sums) = self.forward(parameters, encoding);
        let mut moved = vec![0.0; self.encoding];
        for (i, layer) in self.layers.iter().enumerate() {
            let mut sum = layer.apply(tangent, &inputs[i], true);
            for (a, b) in sum.iter_mut().zip(layer.apply(parameters, &moved, false)) {
                *a += b;
            }
            if i + 1 == self.layers.len() {
                moved = sum;
                break;
            }
            moved = sum.iter().zip(&sums[i]).map(|(d, &x)| self.activation.expand(x)[1] * d).collect();
            if i < self.concatenated {
                moved.resize(moved.len() + self.encoding, 0.0);
            }
        }
        (sums.pop().unwrap_or_default(), moved)
    }

    /// Adds the gradient in the parameters, for a gradient in the outputs that `pull` makes of them.
    pub fn pull<P: Copy + Into<f64>>(
        &self,
        parameters: &[P],
        encoding: &[f64],
        pull: impl FnOnce(&[f64]) -> Vec<f64>,
        out: &mut [f64],
    ) {
        let (inputs, sums) = self.forward(parameters, encoding);
        let mut gradient = pull(sums.last().map_or(&[], Vec::as_slice));
        for (i, layer) in self.layers.iter().enumerate().rev() {
            if i + 1 < self.layers.len() {
                gradient.truncate(layer.outputs);
                gradient.iter_mut().zip(&sums[i]).for_each(|(g, &x)| *g *= self.activation.expand(x)[1]);
            }
            let mut back = vec![0.0; layer.inputs];
            for (k, x) in inputs[i].iter().enumerate() {
                let at = layer.weights + k * layer.outputs;
                for (j, g) in gradient.iter().enumerate() {
                    out[at + j] += x * g;
                    back[k] += g * parameters[at + j].into();
                }
            }
            for (o, g) in out[layer.bias..].iter_mut().zip(&gradient) {
                *o += g;
            }
            gradient = back;
        }
    }
}

impl Dense {
    /// `W·x`, with biases or without.
    fn apply<P: Copy + Into<f64>>(&self, parameters: &[P], x: &[f64], bias: bool) -> Vec<f64> {
        let mut out: Vec<f64> = match bias {
            true => parameters[self.bias..self.bias + self.outputs].iter().map(|&b| b.into()).collect(),
            false => vec![0.0; self.outputs],
        };
        for (k, &x) in x.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            let row = &parameters[self.weights + k * self.outputs..][..self.outputs];
            for (o, &w) in out.iter_mut().zip(row) {
                *o += x * w.into();
            }
        }
        out
    }
}
