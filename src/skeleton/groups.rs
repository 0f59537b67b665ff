//! temp
use super::{BodyId, Scales, Skeleton};
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleGroup {
    pub name: String,
    pub prior_sd: Option<f64>,
    pub members: Vec<(BodyId, [bool; 3])>,
}
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleGroups {
    pub groups: Vec<ScaleGroup>,
}
impl ScaleGroups {
    pub fn default_for(_s: &Skeleton) -> Self {
        Self { groups: vec![] }
    }

    pub fn factors(&self, skeleton: &Skeleton, parameters: &[f64]) -> Scales {
        let mut s = Scales::ones(skeleton);
        for (g, p) in self.groups.iter().zip(parameters) {
            for (b, axes) in &g.members {
                for k in 0..3 {
                    if axes[k] {
                        s.0[b.index()][k] += p;
                    }
                }
            }
        }
        s
    }
}
