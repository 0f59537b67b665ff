//! A still of the skeleton: close by, and among the cameras from aslant and from above.

use super::parts::{Side, side};
use super::plot::{polyline, range, thin};
use super::text::Text;
use crate::camera::Camera;
use crate::fit::{SessionFit, TrialFit};
use crate::report::markers::observed;
use crate::skeleton::{Body, UpAxis};
use nalgebra::Vector3;
use std::fmt::Write;

type Point = Vector3<f64>;

/// Characters of a camera's name that a label shows.
const LONGEST_LABEL: usize = 12;

/// Where a picture is taken from. Points closer than `distance` to the eye do not occur: it is a multiple of the scene's size.
struct View {
    centre: Point,
    right: Point,
    up: Point,
    toward: Point,
    distance: f64,
}

impl View {
    /// Looking along `-toward`, `up` up in the picture as far as that goes.
    fn new(centre: Point, toward: Point, up: Point, distance: f64) -> Option<Self> {
        let toward = toward.try_normalize(1e-9)?;
        let right = up.cross(&toward).try_normalize(1e-9)?;
        Some(Self { centre, right, up: toward.cross(&right), toward, distance })
    }

    /// Picture coordinates, x right and y down, metres at the centre's depth.
    fn at(&self, p: &Point) -> [f64; 2] {
        let d = p - self.centre;
        let depth = (1.0 - d.dot(&self.toward) / self.distance).max(0.1);
        [d.dot(&self.right) / depth, -d.dot(&self.up) / depth]
    }
}

/// From picture coordinates to the page: all points inside a box with a margin.
struct Fit {
    scale: f64,
    from: [f64; 2],
    margin: [f64; 2],
}

impl Fit {
    fn new(points: &[[f64; 2]], size: [f64; 2], border: [f64; 2]) -> Option<Self> {
        let x = range(points.iter().map(|p| p[0]))?;
        let y = range(points.iter().map(|p| p[1]))?;
        let room = [size[0] - 2.0 * border[0], size[1] - 2.0 * border[1]];
        let scale = (room[0] / (x[1] - x[0]).max(1e-6)).min(room[1] / (y[1] - y[0]).max(1e-6));
        let margin = [0.5 * (size[0] - scale * (x[1] - x[0])), 0.5 * (size[1] - scale * (y[1] - y[0]))];
        Some(Self { scale, from: [x[0], y[0]], margin })
    }

    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.margin[0] + self.scale * (x - self.from[0]), self.margin[1] + self.scale * (y - self.from[1])]
    }
}

/// What is drawn, in ground.
struct Scene<'a> {
    fit: &'a SessionFit,
    trial: &'a TrialFit,
    frame: usize,
    up: Point,
    forward: Point,
    right: Point,
    floor: f64,
    /// Joint-to-joint lines and lines out to markers, with side and whether it is a bone.
    segments: Vec<(Side, bool, Point, Point)>,
    dots: Vec<(Side, Point)>,
    path: Vec<Point>,
    cameras: Vec<CameraShape>,
}

struct CameraShape {
    label: String,
    stale: bool,
    centre: Point,
    corners: [Point; 4],
}

/// The three pictures; nothing where no trial has a frame with places.
pub fn figures(out: &mut String, fit: &SessionFit) {
    let Some(scene) = Scene::new(fit) else { return };
    let person: Vec<Point> =
        scene.segments.iter().flat_map(|s| [s.2, s.3]).chain(scene.dots.iter().map(|d| d.1)).collect();
    let Some((centre, size)) = middle(&person) else { return };
    out.push_str("<div class=stills>");
    let aslant = scene.forward + 0.45 * scene.right + 0.12 * scene.up;
    if let Some(view) = View::new(centre, aslant, scene.up, 6.0 * size) {
        scene.close(out, &view, &person);
    }
    let mut everything = person.clone();
    everything.extend(scene.cameras.iter().flat_map(|c| c.corners.into_iter().chain([c.centre, scene.drop(c.centre)])));
    everything.extend(&scene.path);
    if let Some((centre, size)) = middle(&everything) {
        let aslant = scene.forward + 0.7 * scene.right + 0.55 * scene.up;
        if let Some(view) = View::new(centre, aslant, scene.up, 2.5 * size) {
            scene.wide(out, &view, &everything, "Cameras and skeleton, seen from the front and above");
        }
        if let Some(view) = View::new(centre, scene.up, scene.forward, 1e3 * size) {
            scene.wide(out, &view, &everything, "From above; the subject faces up the page");
        }
    }
    out.push_str("</div>");
}

fn middle(points: &[Point]) -> Option<(Point, f64)> {
    let axes = [0, 1, 2].map(|i| range(points.iter().map(|p| p[i])));
    let [Some(x), Some(y), Some(z)] = axes else { return None };
    let low = Point::new(x[0], y[0], z[0]);
    let high = Point::new(x[1], y[1], z[1]);
    Some((0.5 * (low + high), (high - low).norm().max(0.1)))
}

impl<'a> Scene<'a> {
    fn new(fit: &'a SessionFit) -> Option<Self> {
        let finite = |row: &Vec<Point>| row.iter().all(|p| p.iter().all(|x| x.is_finite()));
        let usable = |t: &&TrialFit| {
            let middle = t.body_origins.len() / 2;
            t.body_origins.get(middle).is_some_and(|r| r.len() == fit.skeleton.bodies.len() && finite(r))
                && t.markers.get(middle).is_some_and(|r| r.len() == fit.skeleton.markers.len() && finite(r))
        };
        let trial = fit.trials.iter().find(usable)?;
        let frame = trial.body_origins.len() / 2;
        let (origins, markers) = (&trial.body_origins[frame], &trial.markers[frame]);
        let up = match fit.skeleton.up {
            UpAxis::Y => Point::y(),
            UpAxis::Z => Point::z(),
        };
        let sides: Vec<Side> = fit.skeleton.bodies.iter().map(|b| side(&b.name).0).collect();
        let has_child: Vec<bool> = (0..fit.skeleton.bodies.len())
            .map(|b| fit.skeleton.bodies.iter().skip(1).any(|c| c.parent.index() == b))
            .collect();
        let mut segments = bones(fit, &sides, origins);
        let mut dots = Vec::new();
        for id in observed(fit) {
            let marker = &fit.skeleton.markers[id.index()];
            let body = marker.body.index();
            let (Some(of), Some(origin)) = (sides.get(body), origins.get(body)) else { continue };
            let leaf = !has_child.get(body).copied().unwrap_or(true);
            segments.push((*of, leaf, *origin, markers[id.index()]));
            dots.push((*of, markers[id.index()]));
        }
        let (forward, right) = facing(&sides, origins, up);
        let heights =
            trial.markers.iter().chain(&trial.body_origins).flat_map(|row| row.iter().skip(1)).map(|p| p.dot(&up));
        let floor = range(heights).map_or(0.0, |[low, _]| low);
        let path: Vec<Point> = trial
            .body_origins
            .iter()
            .filter_map(|row| row.get(1))
            .filter(|p| p.iter().all(|x| x.is_finite()))
            .copied()
            .collect();
        let mut scene = Self {
            fit,
            trial,
            frame,
            up,
            forward,
            right,
            floor,
            segments,
            dots,
            path: Vec::new(),
            cameras: Vec::new(),
        };
        scene.path = path.into_iter().map(|p| scene.drop(p)).collect();
        scene.cameras = fit.rig.iter().filter_map(|c| scene.camera(c)).collect();
        Some(scene)
    }

    /// The point below, on the floor.
    fn drop(&self, p: Point) -> Point {
        p + (self.floor - p.dot(&self.up)) * self.up
    }

    fn camera(&self, camera: &Camera) -> Option<CameraShape> {
        let ground = |p: Point| self.fit.ground_from_world * p;
        let centre = ground(camera.centre_in_world());
        let depth = 0.45;
        let corner = |u: f64, v: f64| {
            let i = &camera.intrinsics;
            let ray = Point::new(
                ((u * camera.size[0] - i.cx) / i.fx).clamp(-1.5, 1.5),
                ((v * camera.size[1] - i.cy) / i.fy).clamp(-1.5, 1.5),
                1.0,
            );
            let p = ground(camera.camera_from_world.inverse_transform_point(&(depth * ray).into()).coords);
            p.iter().all(|x| x.is_finite()).then_some(p)
        };
        let corners = [corner(0.0, 0.0)?, corner(1.0, 0.0)?, corner(1.0, 1.0)?, corner(0.0, 1.0)?];
        let stale = self.fit.cameras.iter().any(|c| c.name == camera.name && c.stale);
        let mut label: String = camera.name.chars().take(LONGEST_LABEL).collect();
        if camera.name.chars().nth(LONGEST_LABEL).is_some() {
            label.push('…');
        }
        if stale {
            label.push_str(" ▲ stale");
        }
        centre.iter().all(|x| x.is_finite()).then_some(CameraShape { label, stale, centre, corners })
    }

    fn close(&self, out: &mut String, view: &View, person: &[Point]) {
        let size = [330.0, 470.0];
        let points: Vec<[f64; 2]> = person.iter().map(|p| view.at(p)).collect();
        let Some(page) = Fit::new(&points, size, [34.0, 34.0]) else { return };
        let time = self.trial.time.get(self.frame).copied().unwrap_or(0.0);
        let _ = write!(
            out,
            "<figure><svg class=still viewBox=\"0 0 {} {}\" role=img aria-label=\"the fitted skeleton\">",
            size[0], size[1]
        );
        if let Some((centre, _)) = middle(person) {
            self.grid(out, view, &page, self.drop(centre), 0.25, 3);
        }
        self.body(out, view, &page, 1.0);
        let _ = write!(
            out,
            "</svg><figcaption>Trial {} at {:.2} s: joints, and the markers keypoints observe. <span class=left>■ left</span> <span class=right>■ right</span></figcaption></figure>",
            Text(&self.trial.name),
            time
        );
    }

    fn wide(&self, out: &mut String, view: &View, everything: &[Point], caption: &str) {
        let size = [430.0, 470.0];
        let points: Vec<[f64; 2]> = everything.iter().map(|p| view.at(p)).collect();
        let Some(page) = Fit::new(&points, size, [self.label_room(), 30.0]) else { return };
        let _ = write!(
            out,
            "<figure><svg class=still viewBox=\"0 0 {} {}\" role=img aria-label=\"{caption}\">",
            size[0], size[1]
        );
        if let Some((centre, extent)) = middle(everything) {
            let step = [0.5, 1.0, 2.0, 5.0, 10.0].into_iter().find(|s| extent / s < 16.0).unwrap_or(extent / 10.0);
            let count = (0.5 * extent / step).ceil() as i32;
            self.grid(out, view, &page, self.drop(centre), step, count.clamp(1, 12));
        }
        let kept = thin(&self.path.iter().map(|p| view.at(p)[0]).collect::<Vec<_>>(), 150);
        let path = polyline(kept.into_iter().map(|i| page.at(view.at(&self.path[i]))));
        let _ = write!(out, "<path class=trail d=\"{path}\"/>");
        let mut cameras: Vec<&CameraShape> = self.cameras.iter().collect();
        let depth = |c: &CameraShape| (c.centre - view.centre).dot(&view.toward);
        cameras.sort_by(|a, b| depth(a).total_cmp(&depth(b)));
        for camera in cameras {
            self.frustum(out, view, &page, camera);
        }
        self.body(out, view, &page, 0.45);
        let _ = write!(out, "</svg><figcaption>{caption}.</figcaption></figure>");
    }

    /// Room the cameras' labels need at the sides: some 7½ units a bold character, and the mark before them.
    fn label_room(&self) -> f64 {
        let longest = self.cameras.iter().map(|c| c.label.chars().count()).max().unwrap_or(0);
        10.0 + 7.6 * longest as f64
    }

    fn frustum(&self, out: &mut String, view: &View, page: &Fit, camera: &CameraShape) {
        let at = |p: &Point| page.at(view.at(p));
        let centre = at(&camera.centre);
        let corners = camera.corners.map(|c| at(&c));
        let class = if camera.stale { "camera stale" } else { "camera" };
        let _ = write!(
            out,
            "<g class=\"{class}\"><path class=drop d=\"{}\"/>",
            polyline([centre, at(&self.drop(camera.centre))])
        );
        for c in corners {
            let _ = write!(out, "<path d=\"{}\"/>", polyline([centre, c]));
        }
        let _ = write!(out, "<path class=image d=\"{}z\"/>", polyline(corners));
        // The label goes to the side the camera does not look to.
        let looks: f64 = corners.iter().map(|c| c[0] - centre[0]).sum();
        let (anchor, dx) = if looks > 0.0 { ("end", -6.0) } else { ("start", 6.0) };
        let _ = write!(
            out,
            "<circle cx={:.1} cy={:.1} r=2.6 /><text x={:.1} y={:.1} style=text-anchor:{anchor}>{}</text></g>",
            centre[0],
            centre[1],
            centre[0] + dx,
            centre[1] - 5.0,
            Text(&camera.label)
        );
    }

    fn grid(&self, out: &mut String, view: &View, page: &Fit, centre: Point, step: f64, count: i32) {
        let mut d = String::new();
        let reach = f64::from(count) * step;
        for i in -count..=count {
            let aside = f64::from(i) * step;
            for (along, across) in [(self.forward, self.right), (self.right, self.forward)] {
                let ends = [-reach, reach].map(|r| page.at(view.at(&(centre + aside * across + r * along))));
                d += &polyline(ends);
            }
        }
        let _ = write!(out, "<path class=floor d=\"{d}\"/>");
    }

    /// The body, far parts first so that near ones cover them; `weight` scales its strokes.
    fn body(&self, out: &mut String, view: &View, page: &Fit, weight: f64) {
        let at = |p: &Point| page.at(view.at(p));
        let mut order: Vec<usize> = (0..self.segments.len()).collect();
        let depth = |i: &usize| (0.5 * (self.segments[*i].2 + self.segments[*i].3) - view.centre).dot(&view.toward);
        order.sort_by(|a, b| depth(a).total_cmp(&depth(b)));
        let _ = write!(out, "<g class=body style=\"--w:{weight}\">");
        for i in order {
            let (side, bone, a, b) = &self.segments[i];
            if *bone || weight > 0.9 {
                let kind = if *bone { "bone" } else { "twig" };
                let _ = write!(out, "<path class=\"{kind} {}\" d=\"{}\"/>", side.class(), polyline([at(a), at(b)]));
            }
        }
        if weight > 0.9 {
            for (side, p) in &self.dots {
                let [x, y] = at(p);
                let _ = write!(out, "<circle class=\"dot {}\" cx={x:.1} cy={y:.1} r=3 />", side.class());
            }
        }
        out.push_str("</g>");
    }
}

/// Lines between the origins of parents and children. Where a body of the middle carries a pair (hips, shoulders), they meet
/// half-way between the two, as a pelvis or a shoulder girdle does.
fn bones(fit: &SessionFit, sides: &[Side], origins: &[Point]) -> Vec<(Side, bool, Point, Point)> {
    let bodies = &fit.skeleton.bodies;
    let mut bones = Vec::new();
    for (b, body) in bodies.iter().enumerate().skip(1) {
        let parent = body.parent.index();
        if parent == 0 || parent >= b {
            continue;
        }
        let twin = |other: &(usize, &Body)| {
            other.0 != b && other.1.parent == body.parent && side(&other.1.name).1 == side(&body.name).1
        };
        let twin = bodies.iter().enumerate().find(twin).map(|(i, _)| i);
        match twin.filter(|_| sides[parent] == Side::Middle && sides[b] != Side::Middle) {
            Some(twin) => {
                let between = 0.5 * (origins[b] + origins[twin]);
                if b < twin {
                    bones.push((Side::Middle, true, origins[parent], between));
                }
                bones.push((Side::Middle, true, between, origins[b]));
            }
            None => {
                let of = if sides[parent] == Side::Middle { sides[b] } else { sides[parent] };
                bones.push((of, true, origins[parent], origins[b]));
            }
        }
    }
    bones
}

/// The subject's forward and right, horizontal: from the left and right bodies, else the model's x axis.
fn facing(sides: &[Side], origins: &[Point], up: Point) -> (Point, Point) {
    let mean = |side: Side| {
        let of: Vec<&Point> = sides.iter().zip(origins).filter(|(s, _)| **s == side).map(|(_, p)| p).collect();
        (!of.is_empty()).then(|| of.iter().copied().sum::<Point>() / of.len() as f64)
    };
    let across = mean(Side::Right).zip(mean(Side::Left)).and_then(|(r, l)| {
        let d = r - l;
        (d - d.dot(&up) * up).try_normalize(1e-3)
    });
    let right = across.unwrap_or_else(|| Point::x().cross(&up));
    (up.cross(&right), right)
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn the_sample_walks_along_x() {
        let fit = sample::session();
        let scene = Scene::new(&fit).unwrap();
        assert!(scene.forward.dot(&Point::x()) > 0.9 && scene.right.dot(&Point::z()) > 0.9);
        assert_eq!(scene.cameras.len(), 4);
        assert!((scene.drop(Point::new(1.0, 5.0, 2.0)).y - scene.floor).abs() < 1e-12);
    }

    #[test]
    fn a_view_keeps_up_up_and_right_right() {
        let view = View::new(Point::zeros(), Point::z(), Point::y(), 10.0).unwrap();
        let [x, y] = view.at(&Point::new(1.0, 2.0, 0.0));
        assert_eq!([x, y], [1.0, -2.0]);
        let near = view.at(&Point::new(1.0, 0.0, 5.0));
        assert_eq!(near[0], 2.0, "twice as large at half the distance");
        assert!(View::new(Point::zeros(), Point::y(), Point::y(), 10.0).is_none());
    }
}
