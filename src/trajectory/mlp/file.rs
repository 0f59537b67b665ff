//! Networks as `safetensors` files: weights and biases of each layer, and in the metadata what is needed to make the network again and to refuse another model's.

use super::head::Head;
use super::{Architecture, Mlp};
use crate::error::{Error, Result};
use crate::kinematics::Mechanism;
use crate::trajectory::Layout;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Version of the metadata.
const FORMAT: u32 = 1;

/// Key of the metadata.
const KEY: &str = "kinefit";

/// What to do about a file that is refused.
const AGAIN: &str = "give a network that `kinefit fit --trajectory mlp` wrote for this model, or none";

/// The largest network that is read, parameters.
pub(super) const LARGEST: usize = 1 << 28;

/// What a file says beside its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: u32,
    architecture: Architecture,
    duration_s: f64,
    /// Names of the degrees of freedom's coordinates.
    coordinates: Vec<String>,
    head: Head,
}

impl Mlp {
    /// The network as a `safetensors` file: tensors `layers.N.weight`, `[input, output]`, and `layers.N.bias`.
    ///
    /// # Errors
    /// [`Error::Input`] where `safetensors` refuses, which it has no reason to.
    pub fn to_safetensors(&self, mechanism: &Mechanism) -> Result<Vec<u8>> {
        let refused =
            |e: &dyn std::fmt::Display| Error::input("the network", e, "report this: it is a mistake of kinefit's");
        let about = About {
            format: FORMAT,
            architecture: self.architecture.clone(),
            duration_s: self.duration,
            coordinates: names(mechanism),
            head: self.head.clone(),
        };
        let about = serde_json::to_string(&about).map_err(|e| refused(&e))?;
        let bytes: Vec<u8> = self.parameters.iter().flat_map(|p| p.to_le_bytes()).collect();
        let mut tensors = Vec::new();
        for (i, layer) in self.network.layers.iter().enumerate() {
            let end = layer.bias + layer.outputs;
            for (name, shape, range) in [
                ("weight", vec![layer.inputs, layer.outputs], layer.weights..layer.bias),
                ("bias", vec![layer.outputs], layer.bias..end),
            ] {
                let view = TensorView::new(Dtype::F32, shape, &bytes[4 * range.start..4 * range.end]);
                tensors.push((format!("layers.{i}.{name}"), view.map_err(|e| refused(&e))?));
            }
        }
        serialize(tensors, Some(HashMap::from([(KEY.to_owned(), about)]))).map_err(|e| refused(&e))
    }

    /// Reads a network for a model. `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Input`] for what is no `safetensors` file of this program's, another model's network, sizes that do not belong together, and numbers that are none.
    pub fn from_safetensors(bytes: &[u8], path: &Path, mechanism: &Mechanism, layout: Arc<Layout>) -> Result<Self> {
        let refuse = |problem: String| Error::file(path, problem, AGAIN);
        let about = about(bytes, path)?;
        let expected = names(mechanism);
        if about.coordinates != expected {
            let list = |some: &[String], others: &[String]| {
                let odd: Vec<String> = some.iter().filter(|c| !others.contains(c)).map(|c| format!("`{c}`")).collect();
                match odd.len() {
                    0..=4 => odd.join(", "),
                    n => format!("{} and {} more", odd[..3].join(", "), n - 3),
                }
            };
            let (only_there, only_here) = (list(&about.coordinates, &expected), list(&expected, &about.coordinates));
            let why = match (only_there.as_str(), only_here.as_str()) {
                ("", "") => "its degrees of freedom have another order".into(),
                (there, "") => format!("it moves {there}, which this model does not have"),
                ("", here) => format!("it does not move {here}"),
                (there, here) => format!("it moves {there} in place of {here}"),
            };
            return Err(refuse(format!("is another model's network: {why}")));
        }
        if !about.head.fits(&layout) {
            return Err(refuse("is another model's network: its outputs are not this model's coordinates".into()));
        }
        let encoding = about.architecture.encoding(about.duration_s);
        let network = about.architecture.network(&encoding, about.head.outputs());
        if network.parameters() > LARGEST {
            return Err(refuse(format!("has {} parameters; up to {LARGEST} are read", network.parameters())));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| refuse(format!("is damaged: {e}")))?;
        let mut parameters = Vec::with_capacity(network.parameters());
        for (i, layer) in network.layers.iter().enumerate() {
            for (name, shape) in [("weight", vec![layer.inputs, layer.outputs]), ("bias", vec![layer.outputs])] {
                let name = format!("layers.{i}.{name}");
                let tensor = tensors.tensor(&name).map_err(|_| refuse(format!("lacks tensor `{name}`")))?;
                if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
                    return Err(refuse(format!(
                        "tensor `{name}` is {:?} {:?}; F32 {shape:?} was expected",
                        tensor.dtype(),
                        tensor.shape()
                    )));
                }
                for four in tensor.data().chunks_exact(4) {
                    parameters.push(f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
                }
                if let Some(bad) = parameters.iter().position(|p| !p.is_finite()) {
                    return Err(refuse(format!("tensor `{name}` holds {} in a place for numbers", parameters[bad])));
                }
            }
        }
        let About { architecture, duration_s: duration, head, .. } = about;
        Ok(Self { architecture, layout, head, encoding, network, duration, parameters })
    }
}

/// What a file says of itself.
fn about(bytes: &[u8], path: &Path) -> Result<About> {
    let refuse = |problem: String| Error::file(path, problem, AGAIN);
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|e| refuse(format!("is no safetensors file: {e}")))?;
    let about = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
    let about = about.ok_or_else(|| refuse(format!("has no `{KEY}` in its metadata: it is another program's")))?;
    let about: About =
        serde_json::from_str(about).map_err(|e| refuse(format!("metadata `{KEY}` cannot be read: {e}")))?;
    if about.format != FORMAT {
        return Err(refuse(format!("has format {}; this program reads {FORMAT}", about.format)));
    }
    about.architecture.check(about.duration_s).map_err(|e| refuse(e.to_string()))?;
    Ok(about)
}

/// How the network in a file is made. `path` is for messages.
///
/// # Errors
/// As for [`Mlp::from_safetensors`], as far as the file's head tells.
pub fn architecture_of(bytes: &[u8], path: &Path) -> Result<Architecture> {
    about(bytes, path).map(|about| about.architecture)
}

fn names(mechanism: &Mechanism) -> Vec<String> {
    mechanism.dofs().iter().map(|c| mechanism.skeleton().coordinates[c.index()].name.clone()).collect()
}
