//! Reprojection error, counted over **every** detection with confidence ≥ 0.3 of a keypoint that the model has a marker
//! for; none is excluded.

use crate::math::median;
use crate::solve::PixelResidual;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Detections below this confidence are not counted in reported errors (they are still fitted, with their weight).
pub const COUNTED_CONFIDENCE: f64 = 0.3;

/// Figures over a set of detections. All are 0 when there are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CameraReprojection {
    /// How many detections were counted.
    pub observations: usize,
    /// Median distance between detection and projected marker, pixels.
    pub median_px: f64,
    /// Mean distance, pixels.
    pub mean_px: f64,
    /// Mean weighted by confidence, pixels.
    pub weighted_mean_px: f64,
    /// Share within 5 px.
    pub within_5_px: f64,
    /// Share within 10 px.
    pub within_10_px: f64,
    /// Share within 20 px.
    pub within_20_px: f64,
    /// Median of pixels × depth / focal length, millimetres.
    pub median_mm: f64,
}

/// Figures of a trial: all cameras together, and each camera and keypoint by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reprojection {
    /// All detections.
    #[serde(flatten)]
    pub all: CameraReprojection,
    /// By camera name.
    pub cameras: BTreeMap<String, CameraReprojection>,
    /// By keypoint name.
    pub keypoints: BTreeMap<String, CameraReprojection>,
}

/// Figures of one trial's residuals. `focal_px` is each camera's mean focal length.
pub fn reprojection(
    residuals: &[PixelResidual],
    cameras: &[String],
    focal_px: &[f64],
    keypoints: &[String],
) -> Reprojection {
    let counted: Vec<u32> =
        (0..residuals.len() as u32).filter(|&i| residuals[i as usize].weight >= COUNTED_CONFIDENCE).collect();
    let of = |indices: &[u32]| {
        figures(indices.iter().map(|&i| {
            let r = &residuals[i as usize];
            (r.error_px.norm(), r.weight, r.depth / focal_px[usize::from(r.camera)])
        }))
    };
    let named = |names: &[String], index: &dyn Fn(&PixelResidual) -> u16| {
        let mut by_name = vec![Vec::new(); names.len()];
        for &i in &counted {
            by_name[usize::from(index(&residuals[i as usize]))].push(i);
        }
        let seen = names.iter().zip(&by_name).filter(|(_, indices)| !indices.is_empty());
        seen.map(|(name, indices)| (name.clone(), of(indices))).collect()
    };
    Reprojection {
        all: of(&counted),
        cameras: named(cameras, &|r| r.camera),
        keypoints: named(keypoints, &|r| r.keypoint),
    }
}

/// Figures over `(pixels, confidence, metres per pixel)`.
fn figures(rows: impl ExactSizeIterator<Item = (f64, f64, f64)> + Clone) -> CameraReprojection {
    if rows.len() == 0 {
        return CameraReprojection::default();
    }
    let n = rows.len() as f64;
    let within = |limit: f64| rows.clone().filter(|r| r.0 <= limit).count() as f64 / n;
    let mut values: Vec<f64> = rows.clone().map(|r| r.0).collect();
    let median_px = median(&mut values).unwrap_or(0.0);
    values.clear();
    values.extend(rows.clone().map(|r| r.0 * r.2.abs() * 1e3));
    CameraReprojection {
        observations: rows.len(),
        median_px,
        mean_px: rows.clone().map(|r| r.0).sum::<f64>() / n,
        weighted_mean_px: rows.clone().map(|r| r.0 * r.1).sum::<f64>() / rows.clone().map(|r| r.1).sum::<f64>(),
        within_5_px: within(5.0),
        within_10_px: within(10.0),
        within_20_px: within(20.0),
        median_mm: median(&mut values).unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_confident_detection() {
        let row = |camera, px: f64, weight| PixelResidual {
            frame: 0,
            camera,
            keypoint: 0,
            weight,
            error_px: nalgebra::Vector2::new(px, 0.0),
            depth: 2.0,
        };
        let rows = [row(0, 3.0, 1.0), row(0, 100.0, 0.5), row(1, 7.0, 0.3), row(1, 1.0, 0.29)];
        let names = ["a".to_string(), "b".to_string()];
        let r = reprojection(&rows, &names, &[1000.0, 500.0], &["k".to_string()]);
        assert_eq!(r.all.observations, 3);
        assert_eq!(r.all.median_px, 7.0);
        assert!((r.all.mean_px - 110.0 / 3.0).abs() < 1e-12);
        assert!((r.all.weighted_mean_px - (3.0 + 50.0 + 2.1) / 1.8).abs() < 1e-12);
        assert!((r.all.within_5_px - 1.0 / 3.0).abs() < 1e-12);
        assert!((r.cameras["b"].median_mm - 28.0).abs() < 1e-9);
        assert_eq!(r.cameras["a"].observations, 2);
    }

    #[test]
    fn nothing_seen_gives_zeros_not_nan() {
        let r = reprojection(&[], &["a".to_string()], &[1.0], &[]);
        assert_eq!(r, Reprojection::default());
    }
}
