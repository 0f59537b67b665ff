//! Whether the calibration is that of these images: not exchanged between cameras, not of another size or turned.
//!
//! Keypoints of one person are triangulated from all cameras (least squares, no camera left out) with the calibration as given; to find exchanged ones, but for a shift of each camera's
//! pixels, which is most of what a small turn does. Where they miss by much, the
//! calibration is either off, which the fit can mend, or used wrongly, which it must not try: then exchanging two cameras, or scaling or turning the images of some, makes
//! the rays meet that did not. Such corrections are tried one after the other, each time the best, and believed only if they explain nearly all
//! of the error. A calibration that is merely stale is explained by none of them.

use super::Person;
use crate::camera::{CameraId, Projector, Rig, TriangulationOptions, triangulate};
use crate::error::{Error, Result};
use crate::math::median;
use nalgebra::Vector2;
use rayon::prelude::*;
use std::path::PathBuf;

/// Confidence from which a keypoint takes part.
const CONFIDENT: f64 = 0.3;

/// Frames and keypoints that are triangulated, at most: the error's median needs no more.
const FRAMES: usize = 12;
const KEYPOINTS: usize = 10;

/// Fewer points than this prove nothing.
const FEWEST: usize = 20;

/// A step that gains less than this factor is none.
const STEP: f64 = 1.2;

/// Sizes of the images against the calibrated ones that users come upon: halves, thirds and quarters, 4K to full HD to HD, and back.
const RATIOS: [f64; 10] = [0.25, 1.0 / 3.0, 0.5, 2.0 / 3.0, 0.75, 4.0 / 3.0, 1.5, 2.0, 3.0, 4.0];

/// Cameras up to which every order of the folders is tried: 719 of six, a second or two.
const FEW: usize = 6;

/// Cameras up to which all ways of passing three round are tried, and of two exchanges at once: 112 and 210 of eight.
const HANDFUL: usize = 8;

/// A point behind a camera, or that no triangulation gives, is this far off, pixels.
const NOWHERE: f64 = 1e5;

/// How images differ from those that were calibrated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Image {
    /// Not at all.
    Same,
    /// They are so many times as large.
    Scaled(f64),
    /// They are turned clockwise by so many quarters.
    Turned(u8),
}

impl Image {
    /// The calibrated image's pixel for one of this.
    fn calibrated(self, [u, v]: [f64; 2], [width, height]: [f64; 2]) -> [f64; 2] {
        match self {
            Self::Same => [u, v],
            Self::Scaled(by) => [u / by, v / by],
            // A quarter clockwise takes (x, y) to (height − 1 − y, x).
            Self::Turned(1) => [v, height - 1.0 - u],
            Self::Turned(2) => [width - 1.0 - u, height - 1.0 - v],
            Self::Turned(_) => [width - 1.0 - v, u],
        }
    }

    /// Pixels of these images per pixel of the calibrated ones, at least 1: errors must not look small because the image was shrunk.
    fn pixels(self) -> f64 {
        match self {
            Self::Scaled(by) => by.max(1.0),
            _ => 1.0,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        RATIOS.into_iter().map(Self::Scaled).chain((1..=3).map(Self::Turned))
    }
}

/// What the folders are taken to be: of each, its camera and its images.
#[derive(Debug, Clone, PartialEq)]
struct Guess {
    camera: Vec<usize>,
    image: Vec<Image>,
}

impl Guess {
    fn as_given(cameras: usize) -> Self {
        Self { camera: (0..cameras).collect(), image: vec![Image::Same; cameras] }
    }

    /// All whose images differ from this one's in one camera, or alike in all.
    fn other_images(&self) -> Vec<Self> {
        let n = self.camera.len();
        let mut out: Vec<Self> = Image::all().map(|image| Self { image: vec![image; n], ..self.clone() }).collect();
        for image in Image::all().chain([Image::Same]) {
            out.extend((0..n).map(|c| {
                let mut one = self.clone();
                one.image[c] = image;
                one
            }));
        }
        out
    }

    /// All in which two cameras are exchanged, or, of a handful of cameras, three are passed round or two pairs exchanged; of few cameras, all orders: half of such a mistake put right looks
    /// no better than none.
    fn exchanges(&self) -> Vec<Self> {
        let n = self.camera.len();
        let mut out = Vec::new();
        if n <= FEW {
            orders(&mut self.camera.clone(), 0, &mut |camera| {
                out.push(Self { camera: camera.to_vec(), ..self.clone() })
            });
            return out;
        }
        let mut add = |swaps: &[(usize, usize)]| {
            let mut exchanged = self.clone();
            swaps.iter().for_each(|&(a, b)| exchanged.camera.swap(a, b));
            out.push(exchanged);
        };
        for a in 0..n {
            for b in 0..a {
                add(&[(a, b)]);
                for c in (0..b).filter(|_| n <= HANDFUL) {
                    add(&[(a, b), (b, c)]);
                    add(&[(b, c), (a, b)]);
                }
                for c in (0..a).filter(|c| *c != b && n <= HANDFUL) {
                    (0..c).filter(|d| *d != b).for_each(|d| add(&[(a, b), (c, d)]));
                }
            }
        }
        out
    }
}

/// Every order of `items` from `first` on.
fn orders(items: &mut [usize], first: usize, tell: &mut impl FnMut(&[usize])) {
    if first + 1 >= items.len() {
        return tell(items);
    }
    for i in first..items.len() {
        items.swap(first, i);
        orders(items, first + 1, tell);
        items.swap(first, i);
    }
}

/// One keypoint in one frame: `(folder, [u, v, confidence])`.
type Point = Vec<(usize, [f64; 3])>;

/// Checks a trial: `cameras[camera][frame]` are the people that each camera saw, `folders` where they were read from.
///
/// # Errors
/// Cameras that are exchanged, or images of another size or turned, by name and with what would make them right.
pub(super) fn check(rig: &Rig, cameras: &[Vec<Vec<Person>>], folders: &[PathBuf], place: &str) -> Result<()> {
    let points = points(cameras);
    if points.len() < FEWEST {
        return Ok(());
    }
    let projectors: Vec<Projector> = rig.iter().map(Projector::new).collect();
    let scene = Scene { rig, projectors: &projectors, points: &points };
    // The rays of two cameras nearly meet even in images of another size.
    let searches = if rig.len() < 3 { &[EXCHANGED_PAIR][..] } else { &[IMAGES, EXCHANGES] };
    for search in searches {
        if let Some((guess, errors)) = search.run(&scene) {
            return Err(said(rig, &guess, folders, place, errors));
        }
    }
    Ok(())
}

/// What the errors are computed from.
struct Scene<'a> {
    rig: &'a Rig,
    projectors: &'a [Projector],
    points: &'a [Point],
}

/// A kind of mistake that is looked for.
struct Search {
    neighbours: fn(&Guess) -> Vec<Guess>,
    /// Rounds of finding the shift of each camera's pixels; one for none.
    rounds: usize,
    /// Error, as a part of the image's longer side, below which nothing is looked for, and that a correction must come below.
    large: f64,
    /// How many times smaller a correction makes the error that is believed.
    several: f64,
}

/// 29 of 1920 px: a usual calibration gives a half of it, one camera of images at ¾ of their size three times as much. A shift would take the greater part of
/// another size for its own.
const IMAGES: Search = Search { neighbours: Guess::other_images, rounds: 1, large: 0.015, several: 3.0 };

/// 12 of 1920 px: cameras that look at one person from around it see about the same, but for which side is where; two exchanged of eight still give 15. Without what a shift of each
/// camera explains, detectors and usual calibrations give 2 to 7.
const EXCHANGES: Search = Search { neighbours: Guess::exchanges, rounds: 5, large: 0.006, several: 3.0 };

/// Two cameras have one number per point to go by, how far it is from the other's epipolar line, and are so placed that exchanging them changes little in a third of all pairs. Then nothing is
/// said. 6 of 1920 px, and four times as much as exchanged: of 1200 pairs of cameras that were right but off by 3° and 10 cm or 6° and 20 cm, none looked exchanged (one at three times);
/// of pairs that were exchanged, off by 1° and 2 cm, half did.
const EXCHANGED_PAIR: Search = Search { neighbours: Guess::exchanges, rounds: 5, large: 0.003, several: 4.0 };

impl Search {
    /// The corrections that explain nearly all of the error, with the error as given and so corrected.
    fn run(&self, scene: &Scene) -> Option<(Guess, [f64; 2])> {
        let longest = scene.rig.iter().map(|c| c.size[0].max(c.size[1])).fold(0.0, f64::max);
        let enough = self.large * longest;
        let mut best = Guess::as_given(scene.rig.len());
        let given = error(scene, &best, self.rounds);
        let mut least = given;
        if !(enough > 0.0 && given > enough) {
            return None;
        }
        for _ in 0..scene.rig.len() {
            let tried = (self.neighbours)(&best).into_iter().map(|guess| (error(scene, &guess, self.rounds), guess));
            let (reached, guess) = tried.min_by(|a, b| a.0.total_cmp(&b.0))?;
            if reached * STEP > least {
                return None;
            }
            (least, best) = (reached, guess);
            // What is left is what a calibration may be off by, and more corrections would only be fitted to that.
            if least <= enough && least * self.several <= given {
                return Some((best, [given, least]));
            }
        }
        None
    }
}

/// Keypoints of the person in each image: the only one, where frames have one each; else the largest.
fn points(cameras: &[Vec<Vec<Person>>]) -> Vec<Point> {
    let frames = cameras.iter().map(Vec::len).max().unwrap_or(0);
    let needed = cameras.len().clamp(2, 3);
    let people = |frame: usize| cameras.iter().map(move |c| c.get(frame).map_or(&[][..], Vec::as_slice));
    let seen = |frame: &usize| people(*frame).filter(|p| !p.is_empty()).count() >= needed;
    let alone = |frame: &usize| people(*frame).all(|p| p.len() <= 1);
    let mut usable: Vec<usize> = (0..frames).filter(seen).collect();
    if usable.iter().filter(|f| alone(f)).count() >= usable.len().min(FRAMES) {
        usable.retain(alone);
    }
    let step = usable.len().div_ceil(FRAMES).max(1);
    let mut out = Vec::new();
    for frame in usable.into_iter().step_by(step) {
        let shown: Vec<Option<&Person>> =
            people(frame).map(|p| p.iter().max_by(|a, b| size(a).total_cmp(&size(b)))).collect();
        let keypoints = shown.iter().flatten().map(|p| p.len()).max().unwrap_or(0);
        let mut here: Vec<Point> = (0..keypoints)
            .map(|k| {
                let point = |(c, p): (usize, &Option<&Person>)| Some((c, *p.as_ref()?.get(k)?));
                shown.iter().enumerate().filter_map(point).filter(|(_, p)| p[2] >= CONFIDENT).collect::<Point>()
            })
            .filter(|point| point.len() >= needed)
            .collect();
        // Those that most cameras see tell most; the sort keeps the order of equals.
        here.sort_by_key(|point| std::cmp::Reverse(point.len()));
        here.truncate(KEYPOINTS);
        out.extend(here);
    }
    out
}

/// Area of the box around a person's confident keypoints, px².
fn size(person: &Person) -> f64 {
    let confident = || person.iter().filter(|p| p[2] >= CONFIDENT);
    let span = |axis: usize| {
        let ends = confident().fold((f64::INFINITY, f64::NEG_INFINITY), |e, p| (e.0.min(p[axis]), e.1.max(p[axis])));
        (ends.1 - ends.0).max(0.0)
    };
    span(0) * span(1)
}

/// How far keypoints lie from their triangulated points, in the calibrated images' pixels: of each camera the median, of the cameras the root mean square, so that two of many
/// show. A camera that was knocked sees everything shifted, mostly by the same; that much is taken out in more than one round.
fn error(scene: &Scene, guess: &Guess, rounds: usize) -> f64 {
    let n = scene.rig.len();
    let mut shift = vec![Vector2::zeros(); n];
    let mut medians = Vec::new();
    for round in 0..rounds {
        let residuals: Vec<Vec<(usize, Vector2<f64>)>> =
            scene.points.par_iter().map(|point| residuals(scene, guess, &shift, point)).collect();
        let mut by_folder: Vec<Vec<Vector2<f64>>> = vec![Vec::new(); n];
        residuals.into_iter().flatten().for_each(|(folder, r)| by_folder[folder].push(r));
        if round + 1 < rounds {
            for (shift, seen) in shift.iter_mut().zip(&by_folder) {
                let of = |axis: usize| median(&mut seen.iter().map(|r| r[axis]).collect::<Vec<f64>>()).unwrap_or(0.0);
                *shift += Vector2::new(of(0), of(1));
            }
        }
        medians = by_folder
            .iter()
            .filter_map(|seen| median(&mut seen.iter().map(|r| r.norm()).collect::<Vec<f64>>()))
            .collect();
    }
    (medians.iter().map(|m| m * m).sum::<f64>() / medians.len().max(1) as f64).sqrt()
}

/// From the triangulated point to the pixel, by folder.
fn residuals(scene: &Scene, guess: &Guess, shift: &[Vector2<f64>], point: &Point) -> Vec<(usize, Vector2<f64>)> {
    let Scene { rig, projectors, .. } = *scene;
    // So wide a tolerance makes a least-squares fit of all cameras: one that does not belong shall show.
    let all = TriangulationOptions { inlier_px: NOWHERE, ..TriangulationOptions::default() };
    let rays: Vec<(CameraId, [f64; 3])> = point
        .iter()
        .map(|&(folder, [u, v, _])| {
            let camera = guess.camera[folder];
            let [u, v] = guess.image[folder].calibrated([u, v], rig[camera].size);
            (CameraId(camera as u32), [u - shift[folder].x, v - shift[folder].y, 1.0])
        })
        .collect();
    let found = triangulate(projectors, &rays, &all);
    let residual = |&(camera, [u, v, _]): &(CameraId, [f64; 3])| {
        let pixel = projectors[camera.index()].project(&found.as_ref()?.point)?;
        Some(Vector2::new(u, v) - pixel).filter(|r| r.norm() < NOWHERE)
    };
    let nowhere = Vector2::new(NOWHERE, NOWHERE);
    let of_folder = |(&(folder, _), ray): (&(usize, [f64; 3]), _)| {
        (folder, residual(ray).unwrap_or(nowhere) * guess.image[folder].pixels())
    };
    point.iter().zip(&rays).map(of_folder).collect()
}

fn said(rig: &Rig, guess: &Guess, folders: &[PathBuf], place: &str, [given, least]: [f64; 2]) -> Error {
    let folder = |c: usize| folders.get(c).map_or_else(|| "its folder".into(), |p| p.display().to_string());
    let meet = format!("so taken, triangulated keypoints miss by {least:.0} px instead of {given:.0}");
    let moved: Vec<usize> = (0..rig.len()).filter(|&c| guess.camera[c] != c).collect();
    if !moved.is_empty() {
        let of = |c: &usize| format!("{} fits camera `{}`", folder(*c), rig[guess.camera[*c]].name);
        return Error::input(
            format_args!("{place}, folders of cameras {}", names(rig, &moved)),
            format_args!("the folders look exchanged: {}; {meet}", list(moved.iter().map(of))),
            "rename the folders, or the cameras in the calibration, so that each folder goes with its own camera (session.toml lists them in the calibration's order)",
        );
    }
    let changed: Vec<usize> = (0..rig.len()).filter(|&c| guess.image[c] != Image::Same).collect();
    let mut kinds: Vec<(String, Vec<usize>)> = Vec::new();
    for &c in &changed {
        let [width, height] = rig[c].size;
        let what = match guess.image[c] {
            Image::Scaled(by) => format!(
                "{:.0} × {:.0} pixels, {by:.3} times the calibrated {width:.0} × {height:.0}",
                width * by,
                height * by
            ),
            Image::Turned(quarters) => {
                format!("turned by {}° against the calibrated {width:.0} × {height:.0}", 90 * u32::from(quarters))
            }
            Image::Same => continue,
        };
        match kinds.iter_mut().find(|(kind, _)| *kind == what) {
            Some((_, cameras)) => cameras.push(c),
            None => kinds.push((what, vec![c])),
        }
    }
    let of = |(what, cameras): &(String, Vec<usize>)| match cameras.len() == changed.len() {
        true => what.clone(),
        false => format!("{what} ({})", names(rig, cameras)),
    };
    Error::input(
        format_args!("{place}, camera{} {}", if changed.len() == 1 { "" } else { "s" }, names(rig, &changed)),
        format_args!(
            "the images look not to be those that were calibrated, but {}: {meet}",
            list(kinds.iter().map(of))
        ),
        "detect keypoints in images of the calibrated size and orientation, or calibrate with images like these (a calibration is scaled by multiplying size, focal lengths and centre)",
    )
}

fn names(rig: &Rig, cameras: &[usize]) -> String {
    list(cameras.iter().map(|&c| format!("`{}`", rig[c].name)))
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
