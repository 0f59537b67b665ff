//! What a fit by networks has to remember to go on in the very bits it was stopped in: a `safetensors` file.

use super::options::NetworkOptions;
use super::{FitOptions, TrajectoryKind};
use crate::error::{Error, Result};
use crate::solve::Problem;
use crate::solve::first_order::{AdamState, Memory, is_memory};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Key of the metadata.
const KEY: &str = "kinefit-checkpoint";

/// Name of the tensor with L-BFGS's memory.
const QUASI_NEWTON: &str = "quasi_newton";

/// Where a descent stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    /// Networks, then what trials share.
    pub parameters: Vec<f32>,
    /// The solver's memory.
    pub state: Option<Memory>,
    /// Noise levels and smoothness, as estimated last.
    pub sigma: Vec<f64>,
    pub smoothness: Vec<f64>,
    /// For how many frames errors last, and over how many a trajectory averages.
    pub lasting: [f64; 2],
    /// The objective after each step.
    pub history: Vec<f64>,
    pub progress: Progress,
    /// The best end before it went on from there: what comes of that may be worse.
    pub before: Option<Before>,
}

/// An end that a descent went on from, and what it was found with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Before {
    pub parameters: Vec<f32>,
    pub sigma: Vec<f64>,
    pub smoothness: Vec<f64>,
    pub lasting: [f64; 2],
}

/// A trial that has no place in the session, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftOut {
    pub trial: String,
    pub reason: String,
    pub stage: Option<String>,
    pub advice: Option<String>,
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
    /// Whether it has come to rest: there is nothing to go on to.
    pub rested: bool,
    /// How often frames that had gone adrift were taught what their neighbours do.
    pub mended: u32,
    /// Error where it had come to rest last, with more to gain, and went on, pixels.
    pub rest_px: Option<f64>,
    /// How often it ran away before it last went on.
    pub runaways: u32,
}

/// Share of its error that a descent must have lost since it went on from rest, to go on again.
const GAIN: f64 = 0.01;

impl Progress {
    /// Whether it has gained anything since it went on from rest.
    pub fn gained(&self, px: f64) -> bool {
        self.rest_px.is_none_or(|before| px < (1.0 - GAIN) * before)
    }
}

#[derive(Serialize, Deserialize)]
struct About {
    course: Course,
    left_out: Vec<LeftOut>,
    progress: Progress,
    state: Option<AdamState>,
    best: Option<f64>,
    /// Whether there is a best end before it went on from there.
    before: bool,
}

/// What a checkpoint's fit had left out of the session; nothing where the file is none, which [`Checkpoint::from_bytes`] will say.
pub(super) fn left_out(bytes: &[u8]) -> Vec<LeftOut> {
    let about = SafeTensors::read_metadata(bytes).ok().and_then(|(_, m)| m.metadata().as_ref()?.get(KEY).cloned());
    about.and_then(|text| serde_json::from_str::<About>(&text).ok()).map_or(Vec::new(), |about| about.left_out)
}

/// Everything that the course of a descent depends on, but for how long it may last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Course {
    /// Of what the cameras saw, and where they were said to be.
    session: String,
    /// Of the model, its groups and what is believed of them.
    body: String,
    /// The stature that the user states, metres.
    stature: Option<f64>,
    /// [`FitOptions`], [`NetworkOptions`] among them.
    options: Value,
}

/// Of how things are written for debugging: all that is in them.
fn digest(things: &[&dyn std::fmt::Debug]) -> String {
    let mut hash = Sha256::new();
    things.iter().for_each(|thing| hash.update(format!("{thing:?}")));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl Course {
    pub fn new(problem: &Problem, all: &FitOptions, options: &NetworkOptions) -> Self {
        let mut hash = Sha256::new();
        hash.update(digest(&[&problem.rig]));
        for trial in &problem.trials {
            trial.times.iter().for_each(|t| hash.update(t.to_le_bytes()));
            for o in trial.sightings.iter() {
                hash.update([o.camera.to_le_bytes(), o.keypoint.to_le_bytes()].concat());
                [o.pixel[0], o.pixel[1], o.weight].iter().for_each(|x| hash.update(x.to_le_bytes()));
            }
        }
        let session = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let (skeleton, priors) = (problem.mechanism.skeleton(), &problem.priors);
        // Not where the model came from, and not its stature, which is compared by itself.
        let body = digest(&[
            &skeleton.bodies,
            &skeleton.operations,
            &skeleton.coordinates,
            &skeleton.rotors,
            &skeleton.markers,
            &problem.markers,
            &problem.mechanism.groups(),
            &(&priors.scales, &priors.offset_sd, &priors.pose, &priors.limits),
        ]);
        let stature = priors.stature.as_ref().map(|s| s.measured);
        Self { session, body, stature, options: course_options(all, options) }
    }

    /// What keeps a descent of this course from going on with another's checkpoint: `None` where nothing does.
    fn differs_from(&self, begun: &Self) -> Option<String> {
        if self == begun {
            return None;
        }
        if self.session != begun.session {
            return Some("is of another session: other frames, keypoints or cameras".into());
        }
        let mut all = Vec::new();
        if self.stature != begun.stature {
            let metres = |s: Option<f64>| s.map_or("none".into(), |s| format!("{s} m"));
            all.push(format!("--stature ({} then, {} now)", metres(begun.stature), metres(self.stature)));
        }
        if self.body != begun.body {
            all.push("another model, marker set or scale groups (--model, --marker-set, --scale-groups)".into());
        }
        let published = |course: &Self| at(&course.options, PAPER.1) == "published";
        if published(self) != published(begun) {
            let said = |is: bool| if is { "given" } else { "not given" };
            all.push(format!("{} ({} then, {} now)", PAPER.0, said(published(begun)), said(published(self))));
        }
        // What the published conditions are, option by option, says no more.
        for (option, path) in OPTIONS.into_iter().filter(|_| published(self) == published(begun)) {
            let (then, now) = (at(&begun.options, path), at(&self.options, path));
            if then != now {
                all.push(format!("{option} ({} then, {} now)", said(then), said(now)));
            }
        }
        // Whatever the list does not know is still something else.
        let all = if all.is_empty() { "others than now".into() } else { all.join(", ") };
        Some(format!("was begun with other options: {all}"))
    }
}

/// Options as text has them, without those that change nothing of the course.
fn course_options(all: &FitOptions, network: &NetworkOptions) -> Value {
    let network = NetworkOptions { max_steps: 0, expected_steps: 0, ..network.clone() };
    let course = FitOptions {
        covariance: true,
        max_iterations: 0,
        trajectory: TrajectoryKind::Mlp(Box::new(network)),
        ..all.clone()
    };
    // By way of text, as they will be read: a number that JSON rounds is the same number then.
    let value = serde_json::to_string(&course).ok().and_then(|text| serde_json::from_str(&text).ok());
    value.unwrap_or_default()
}

/// The command's options, and where each is among those of the library.
const OPTIONS: [(&str, &[&str]); 7] = [
    ("--refine-cameras", &["refine_cameras"]),
    ("--network", &["trajectory", "mlp", "architecture", "layers"]),
    ("--optimizer", &["trajectory", "mlp", "optimizer"]),
    ("--seed", &["trajectory", "mlp", "seed"]),
    ("--warm-start", &["trajectory", "mlp", "start"]),
    ("--batch", &["trajectory", "mlp", "mini_batch", "frames"]),
    ("--learning-rate", &["trajectory", "mlp", "rates", "network"]),
];

/// The option that stands for many.
const PAPER: (&str, &[&str]) = ("--paper", &["trajectory", "mlp", "objective"]);

fn at<'a>(options: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(options, |value, key| value.get(key).unwrap_or(&Value::Null))
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join(","),
        // Networks by their digests.
        Value::Object(_) => "other networks".into(),
        value => value.to_string(),
    }
}

impl Checkpoint {
    /// As a file, with what was left out of the session.
    pub fn to_bytes(&self, course: &Course, left_out: &[LeftOut]) -> Result<Vec<u8>> {
        let refused =
            |e: &dyn std::fmt::Display| Error::input("the checkpoint", e, "report this: it is a mistake of kinefit's");
        let adam = match &self.state {
            Some(Memory::Adam(state)) => Some(state),
            _ => None,
        };
        let about = About {
            course: course.clone(),
            left_out: left_out.to_vec(),
            progress: self.progress,
            state: adam.cloned(),
            best: adam.and_then(|s| s.best.as_ref()).map(|b| b.0),
            before: self.before.is_some(),
        };
        let about = serde_json::to_string(&about).map_err(|e| refused(&e))?;
        let single = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let double = |v: &[f64]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let mut all: Vec<(&str, Dtype, usize, Vec<u8>)> = vec![
            ("parameters", Dtype::F32, self.parameters.len(), single(&self.parameters)),
            ("sigma", Dtype::F64, self.sigma.len(), double(&self.sigma)),
            ("smoothness", Dtype::F64, self.smoothness.len(), double(&self.smoothness)),
            ("lasting", Dtype::F64, 2, double(&self.lasting)),
            ("history", Dtype::F64, self.history.len(), double(&self.history)),
        ];
        if let Some(before) = &self.before {
            all.push(("before", Dtype::F32, before.parameters.len(), single(&before.parameters)));
            all.push(("before_sigma", Dtype::F64, before.sigma.len(), double(&before.sigma)));
            all.push(("before_smoothness", Dtype::F64, before.smoothness.len(), double(&before.smoothness)));
            all.push(("before_lasting", Dtype::F64, 2, double(&before.lasting)));
        }
        if let Some(Memory::QuasiNewton(memory)) = &self.state {
            all.push((QUASI_NEWTON, Dtype::U8, memory.len(), memory.clone()));
        }
        if let Some(state) = adam {
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

    /// From a file, for a descent of this course.
    ///
    /// # Errors
    /// [`Error::Input`] where the file is another fit's, or none.
    pub fn from_bytes(bytes: &[u8], expected: &Course, parameters: usize) -> Result<Self> {
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
        if let Some(why) = expected.differs_from(&about.course) {
            return Err(refuse(why));
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
            let numbers = data.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]));
            let numbers = numbers.collect::<Vec<f32>>();
            // What is divided by its root is never negative.
            let sound = |x: &f32| x.is_finite() && (*x >= 0.0 || name != "second_moment");
            match numbers.iter().find(|x| !sound(x)) {
                Some(x) => Err(refuse(format!("`{name}` holds {x}"))),
                None => Ok(numbers),
            }
        };
        let any = |name: &str, n: Option<usize>| {
            let data = read(name, Dtype::F64, n)?;
            let number = |c: &[u8]| c.try_into().map(f64::from_le_bytes).unwrap_or(f64::NAN);
            Ok(data.chunks_exact(8).map(number).collect::<Vec<f64>>())
        };
        let double = |name: &str, n: Option<usize>| {
            let numbers = any(name, n)?;
            match numbers.iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
                Some(x) => Err(refuse(format!("`{name}` holds {x} in a place for numbers that are not negative"))),
                None => Ok(numbers),
            }
        };
        let mut state = about.state;
        if let Some(state) = &mut state {
            state.moments = [single("first_moment")?, single("second_moment")?];
            state.best = about.best.map(|cost| single("best").map(|b| (cost, b))).transpose()?;
            if !state.is_sound() {
                return Err(refuse("is damaged: rates that no descent has come to".into()));
            }
        }
        let state = match state {
            Some(state) => Some(Memory::Adam(state)),
            None if tensors.tensor(QUASI_NEWTON).is_ok() => {
                let memory = read(QUASI_NEWTON, Dtype::U8, None)?;
                if !is_memory(memory, parameters) {
                    return Err(refuse("is damaged: no memory of L-BFGS can be read from it".into()));
                }
                Some(Memory::QuasiNewton(memory.to_vec()))
            }
            None => None,
        };
        let positive = |name: &str, n: Option<usize>| match double(name, n)? {
            levels if levels.contains(&0.0) => Err(refuse(format!("`{name}` holds 0, which no noise is"))),
            levels => Ok(levels),
        };
        let pair = |name: &str| Ok::<[f64; 2], Error>(double(name, Some(2))?.try_into().unwrap_or([1.0; 2]));
        let (sigma, smoothness) = (positive("sigma", None)?, double("smoothness", None)?);
        Ok(Self {
            parameters: single("parameters")?,
            state,
            lasting: pair("lasting")?,
            history: any("history", None)?,
            progress: about.progress,
            before: match about.before {
                true => Some(Before {
                    parameters: single("before")?,
                    sigma: positive("before_sigma", Some(sigma.len()))?,
                    smoothness: double("before_smoothness", Some(smoothness.len()))?,
                    lasting: pair("before_lasting")?,
                }),
                false => None,
            },
            sigma,
            smoothness,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::NetworkStart;
    use crate::solve::first_order::MiniBatch;

    fn course(session: &str, options: &NetworkOptions) -> Course {
        let options = course_options(&FitOptions::default(), options);
        Course { session: session.into(), body: "b".into(), stature: None, options }
    }

    fn checkpoint() -> Checkpoint {
        let mut state = AdamState::default();
        (state.step, state.factor) = (17, 0.25);
        state.moments = [vec![1.0, -2.5e-30, 3.0], vec![0.1, 0.2, 0.3]];
        state.best = Some((-12.345_678_901_234_567, vec![9.0, 8.0, f32::MIN_POSITIVE]));
        Checkpoint {
            parameters: vec![0.1, 0.2, -0.3],
            state: Some(Memory::Adam(state)),
            sigma: vec![1.0 / 3.0, 2.0],
            smoothness: vec![1e9],
            lasting: [4.0 / 3.0, 5.0],
            history: vec![3.0, -1.0 / 3.0],
            progress: Progress {
                taken: 17,
                left: 3,
                smoothed: 2,
                settled: true,
                rested: false,
                mended: 1,
                rest_px: Some(7.25),
                runaways: 2,
            },
            before: Some(Before {
                parameters: vec![7.0, -0.0, 1e-30],
                sigma: vec![0.25, 2.5],
                smoothness: vec![1e7],
                lasting: [1.5, 4.0],
            }),
        }
    }

    #[test]
    fn comes_back_bit_for_bit() {
        let course = course("f", &NetworkOptions::default());
        let bytes = checkpoint().to_bytes(&course, &[]).unwrap();
        assert_eq!(Checkpoint::from_bytes(&bytes, &course, 3).unwrap(), checkpoint());
        assert_eq!(left_out(&bytes), []);
        let out = LeftOut { trial: "b".into(), reason: "r".into(), stage: Some("s".into()), advice: None };
        assert_eq!(left_out(&checkpoint().to_bytes(&course, std::slice::from_ref(&out)).unwrap()), [out]);
        assert_eq!(left_out(b"{}"), []);
        let other = Checkpoint { state: None, before: None, ..checkpoint() };
        assert_eq!(Checkpoint::from_bytes(&other.to_bytes(&course, &[]).unwrap(), &course, 3).unwrap(), other);
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        let default = NetworkOptions::default();
        let begun = course("f", &default);
        let bytes = checkpoint().to_bytes(&begun, &[]).unwrap();
        let read = |bytes: &[u8], f: &Course, n: usize| Checkpoint::from_bytes(bytes, f, n).unwrap_err().to_string();
        assert!(read(&bytes, &course("g", &default), 3).contains("another session"));
        assert!(read(&bytes, &begun, 4).contains("3 numbers"));
        assert!(read(&bytes[..bytes.len() - 1], &begun, 3).contains("checkpoint"));
        let broken = Checkpoint { sigma: vec![1.0, f64::NAN], ..checkpoint() }.to_bytes(&begun, &[]).unwrap();
        assert!(read(&broken, &begun, 3).contains("`sigma` holds NaN"));
        assert!(read(b"{}", &begun, 3).contains("no safetensors file"));
        let other = |state| Checkpoint { state: Some(state), ..checkpoint() }.to_bytes(&begun, &[]).unwrap();
        assert!(read(&other(Memory::QuasiNewton(vec![3, 1, 4])), &begun, 3).contains("no memory of L-BFGS"));
        let Some(Memory::Adam(mut backwards)) = checkpoint().state else { panic!("it has one") };
        backwards.factor = -1.0;
        assert!(read(&other(Memory::Adam(backwards)), &begun, 3).contains("no descent has come to"));
    }

    #[test]
    fn says_which_options_are_others() {
        let default = NetworkOptions::default();
        let bytes = checkpoint().to_bytes(&course("f", &default), &[]).unwrap();
        let read = |now: NetworkOptions| Checkpoint::from_bytes(&bytes, &course("f", &now), 3);
        let longer = NetworkOptions { max_steps: 7, expected_steps: 9, ..default.clone() };
        assert!(read(longer).is_ok(), "how long it may last is no part of its course");
        let mut other = NetworkOptions { seed: 4, start: NetworkStart::BSpline, ..default.clone() };
        other.architecture.layers = vec![8, 16];
        other.mini_batch = Some(MiniBatch { frames: 40, stretch: 16, seed: 4 });
        let said = read(other).unwrap_err().to_string();
        for part in [
            "--network (",
            " then, 8,16 now)",
            "--seed (0 then, 4 now)",
            "--warm-start (guess then, bspline now)",
            "--batch (none then, 40 now)",
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert!(!said.contains("--learning-rate") && !said.contains("--optimizer"), "{said}");
        let taller = Course { stature: Some(1.9), body: "c".into(), ..course("f", &default) };
        let said = Checkpoint::from_bytes(&bytes, &taller, 3).unwrap_err().to_string();
        assert!(said.contains("--stature (none then, 1.9 m now)") && said.contains("--marker-set"), "{said}");
        let held = course_options(&FitOptions { refine_cameras: false, ..FitOptions::default() }, &default);
        let held = Course { options: held, ..course("f", &default) };
        let said = Checkpoint::from_bytes(&bytes, &held, 3).unwrap_err().to_string();
        assert!(said.contains("--refine-cameras (true then, false now)"), "{said}");
        // What has no option of its own.
        let said = read(NetworkOptions { round: 7, ..default }).unwrap_err().to_string();
        assert!(said.contains("other options: others than now"), "{said}");
    }
}
