//! What a fit by networks has to remember to go on in the very bits it was stopped in: a `safetensors` file.

use super::options::NetworkOptions;
use crate::error::{Error, Result};
use crate::solve::Problem;
use crate::solve::first_order::AdamState;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Key of the metadata.
const KEY: &str = "kinefit-checkpoint";

/// Where a descent stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    /// Networks, then what trials share.
    pub parameters: Vec<f32>,
    /// Adam's memory.
    pub state: Option<AdamState>,
    /// Noise levels and smoothness, as estimated last.
    pub sigma: Vec<f64>,
    pub smoothness: Vec<f64>,
    pub progress: Progress,
}

/// Counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Steps taken.
    pub taken: u64,
    /// Steps until noise and smoothness are estimated again.
    pub left: u64,
    /// How often smoothness was estimated.
    pub smoothed: u32,
    /// Whether nothing more is estimated.
    pub settled: bool,
}

#[derive(Serialize, Deserialize)]
struct About {
    fingerprint: String,
    progress: Progress,
    state: Option<AdamState>,
    best: Option<f64>,
}

/// Of everything that the course of a descent depends on, but for how long it may last.
pub(super) fn fingerprint(problem: &Problem, options: &NetworkOptions) -> String {
    let mut hash = Sha256::new();
    let course = NetworkOptions { max_steps: 0, expected_steps: 0, ..options.clone() };
    hash.update(serde_json::to_string(&course).unwrap_or_default());
    for camera in problem.rig.iter() {
        let p = camera.centre_in_world();
        [p.x, p.y, p.z].iter().for_each(|x| hash.update(x.to_le_bytes()));
    }
    for trial in &problem.trials {
        trial.times.iter().for_each(|t| hash.update(t.to_le_bytes()));
        for o in trial.sightings.iter() {
            hash.update([o.camera.to_le_bytes(), o.keypoint.to_le_bytes()].concat());
            [o.pixel[0], o.pixel[1], o.weight].iter().for_each(|x| hash.update(x.to_le_bytes()));
        }
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl Checkpoint {
    /// As a file.
    pub fn to_bytes(&self, fingerprint: &str) -> Result<Vec<u8>> {
        let refused =
            |e: &dyn std::fmt::Display| Error::input("the checkpoint", e, "report this: it is a mistake of kinefit's");
        let about = About {
            fingerprint: fingerprint.into(),
            progress: self.progress,
            state: self.state.clone(),
            best: self.state.as_ref().and_then(|s| s.best.as_ref()).map(|b| b.0),
        };
        let about = serde_json::to_string(&about).map_err(|e| refused(&e))?;
        let single = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let double = |v: &[f64]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let mut all: Vec<(&str, Dtype, usize, Vec<u8>)> = vec![
            ("parameters", Dtype::F32, self.parameters.len(), single(&self.parameters)),
            ("sigma", Dtype::F64, self.sigma.len(), double(&self.sigma)),
            ("smoothness", Dtype::F64, self.smoothness.len(), double(&self.smoothness)),
        ];
        if let Some(state) = &self.state {
            let [m, v] = &state.moments;
            all.push(("first_moment", Dtype::F32, m.len(), single(m)));
            all.push(("second_moment", Dtype::F32, v.len(), single(v)));
            if let Some((_, best)) = &state.best {
                all.push(("best", Dtype::F32, best.len(), single(best)));
            }
        }
        let tensors = all
            .iter()
            .map(|(name, dtype, n, bytes)| {
                TensorView::new(*dtype, vec![*n], bytes).map(|t| (*name, t)).map_err(|e| refused(&e))
            })
            .collect::<Result<Vec<_>>>()?;
        serialize(tensors, Some(HashMap::from([(KEY.to_owned(), about)]))).map_err(|e| refused(&e))
    }

    /// From a file, for a descent of this fingerprint.
    ///
    /// # Errors
    /// [`Error::Input`] where the file is another fit's, or none.
    pub fn from_bytes(bytes: &[u8], expected: &str, parameters: usize) -> Result<Self> {
        let refuse = |problem: String| {
            Error::input(
                "the checkpoint",
                problem,
                "leave out --resume to begin again, or give the options it was begun with",
            )
        };
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|e| refuse(format!("is no safetensors file: {e}")))?;
        let about = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let about = about.ok_or_else(|| refuse("is not one of kinefit's".into()))?;
        let about: About = serde_json::from_str(about).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        if about.fingerprint != expected {
            return Err(refuse("is of another session, or was begun with other options".into()));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| refuse(format!("is damaged: {e}")))?;
        let read = |name: &str, dtype: Dtype, expected: Option<usize>| {
            let tensor = tensors.tensor(name).map_err(|_| refuse(format!("lacks `{name}`")))?;
            let n = tensor.shape().iter().product::<usize>();
            match tensor.dtype() == dtype && expected.is_none_or(|e| e == n) {
                true => Ok(tensor.data()),
                false => Err(refuse(format!("`{name}` has {n} numbers of type {:?}", tensor.dtype()))),
            }
        };
        let single = |name: &str| {
            let data = read(name, Dtype::F32, Some(parameters))?;
            Ok(data.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect::<Vec<f32>>())
        };
        let double = |name: &str| {
            let data = read(name, Dtype::F64, None)?;
            let number = |c: &[u8]| c.try_into().map(f64::from_le_bytes).unwrap_or(f64::NAN);
            Ok(data.chunks_exact(8).map(number).collect::<Vec<f64>>())
        };
        let mut state = about.state;
        if let Some(state) = &mut state {
            state.moments = [single("first_moment")?, single("second_moment")?];
            state.best = about.best.map(|cost| single("best").map(|b| (cost, b))).transpose()?;
        }
        Ok(Self {
            parameters: single("parameters")?,
            state,
            sigma: double("sigma")?,
            smoothness: double("smoothness")?,
            progress: about.progress,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut state = AdamState::default();
        (state.step, state.factor) = (17, 0.25);
        state.moments = [vec![1.0, -2.5e-30, 3.0], vec![0.1, 0.2, 0.3]];
        state.best = Some((-12.345_678_901_234_567, vec![9.0, 8.0, f32::MIN_POSITIVE]));
        Checkpoint {
            parameters: vec![0.1, 0.2, -0.3],
            state: Some(state),
            sigma: vec![1.0 / 3.0, 2.0],
            smoothness: vec![1e9],
            progress: Progress { taken: 17, left: 3, smoothed: 2, settled: true },
        }
    }

    #[test]
    fn comes_back_bit_for_bit() {
        let bytes = checkpoint().to_bytes("f").unwrap();
        assert_eq!(Checkpoint::from_bytes(&bytes, "f", 3).unwrap(), checkpoint());
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        let bytes = checkpoint().to_bytes("f").unwrap();
        let read = |bytes: &[u8], f: &str, n: usize| Checkpoint::from_bytes(bytes, f, n).unwrap_err().to_string();
        assert!(read(&bytes, "g", 3).contains("another session"));
        assert!(read(&bytes, "f", 4).contains("3 numbers"));
        assert!(read(&bytes[..bytes.len() - 1], "f", 3).contains("checkpoint"));
        assert!(read(b"{}", "f", 3).contains("no safetensors file"));
    }
}
