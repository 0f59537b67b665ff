//! temp
use super::*;
use nalgebra::{Matrix3, Vector2};
#[derive(Debug, Clone)]
pub struct Triangulated {
    pub point: Vector3<f64>,
    pub error_px: f64,
}
/// temp: gauss-newton from crude start
pub fn triangulate_tmp(cams: &[Projector], obs: &[(usize, [f64; 3])]) -> Option<Triangulated> {
    if obs.len() < 2 {
        return None;
    }
    let mut best: Option<(f64, Vector3<f64>)> = None;
    let solve = |start: Vector3<f64>| -> (f64, Vector3<f64>) {
        let mut p = start;
        let mut cost = f64::INFINITY;
        for _ in 0..15 {
            let (mut h, mut g, mut c) = (Matrix3::identity() * 1e-9, Vector3::zeros(), 0.0);
            for (k, o) in obs {
                let Some(pr) = cams[*k].project_with_derivatives(&p) else { return (1e18, p) };
                let e = pr.pixel - Vector2::new(o[0], o[1]);
                let s = e.norm_squared() / 400.0;
                let w = o[2] / (1.0 + s);
                c += o[2] * (1.0 + s).ln();
                h += pr.d_pixel_d_point.tr_mul(&pr.d_pixel_d_point) * w;
                g += pr.d_pixel_d_point.tr_mul(&e) * w;
            }
            cost = c;
            let Some(ch) = h.cholesky() else { return (1e18, p) };
            let d = ch.solve(&g);
            p -= d;
            if d.norm() < 1e-5 {
                break;
            }
        }
        (cost, p)
    };
    for z in [1.5, 3.0, 5.0] {
        let c = obs[0].0;
        let (r, t) = (cams[c].point_in_camera(&Vector3::zeros()), 0);
        let _ = (r, t);
        let start = cams[c].centre_in_world() + cams[c].axis() * z;
        let (cost, p) = solve(start);
        if best.as_ref().is_none_or(|b| cost < b.0) {
            best = Some((cost, p));
        }
    }
    best.map(|(c, p)| Triangulated { point: p, error_px: c })
}
impl Projector {
    fn axis(&self) -> Vector3<f64> {
        let o = self.point_in_camera(&Vector3::zeros());
        let m = Matrix3::from_columns(&[
            self.point_in_camera(&Vector3::x()) - o,
            self.point_in_camera(&Vector3::y()) - o,
            self.point_in_camera(&Vector3::z()) - o,
        ]);
        m.transpose() * Vector3::z()
    }
}
