//! The kernels: one tile of frames at a time, as many frames in an instruction as the processor takes.

use super::curve::{MOTION_ROWS, motions};
use super::table::{NONE, Table, operation};
use crate::math::lanes::{Real, Row};
use pulp::{Simd, WithSimd};

/// Rows of a pose: the rotation column by column, the origin.
pub(super) const POSE_ROWS: usize = 12;

/// Rows of a twist: `ω`, `v`.
pub(super) const TWIST_ROWS: usize = 6;

/// Everything of one tile; see [`Table`] for the order.
pub(super) struct Tile<'a, T> {
    pub table: &'a Table<T>,
    /// Coordinates and rotors.
    pub inputs: &'a [Row<T>],
    pub motions: &'a mut [Row<T>],
    /// Of links; ground's is there.
    pub poses: &'a mut [Row<T>],
    /// Of columns; empty where no derivatives are asked for.
    pub twists: &'a mut [Row<T>],
    pub markers: &'a mut [Row<T>],
    /// Empty where not asked for.
    pub bodies: &'a mut [Row<T>],
    /// Empty where not asked for.
    pub jacobian: &'a mut [Row<T>],
}

type Vector<T, S> = [<T as Real>::Lanes<S>; 3];
type Matrix<T, S> = [Vector<T, S>; 3];

impl<T: Real> WithSimd for Tile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Tile { table, inputs, motions: moved, poses, twists, markers, bodies, jacobian } = self;
        let chunks = T::lanes::<S>(&Row::filled(T::default())).len();
        if twists.is_empty() {
            motions::<T, S, false>(simd, table, inputs, moved);
            for k in 0..chunks {
                links::<T, S, false>(simd, k, table, inputs, moved, poses, twists);
                places::<T, S>(simd, k, table, poses, markers);
            }
        } else {
            motions::<T, S, true>(simd, table, inputs, moved);
            for k in 0..chunks {
                links::<T, S, true>(simd, k, table, inputs, moved, poses, twists);
                places::<T, S>(simd, k, table, poses, markers);
                derivatives::<T, S>(simd, k, table, twists, markers, jacobian);
            }
        }
        if !bodies.is_empty() {
            for k in 0..chunks {
                body_poses::<T, S>(simd, k, table, poses, bodies);
            }
        }
    }
}

#[inline(always)]
fn load<T: Real, S: Simd>(rows: &[Row<T>], first: usize, k: usize) -> Vector<T, S> {
    let rows = &rows[first..first + 3];
    [T::lanes::<S>(&rows[0])[k], T::lanes::<S>(&rows[1])[k], T::lanes::<S>(&rows[2])[k]]
}

#[inline(always)]
fn store<T: Real, S: Simd>(rows: &mut [Row<T>], first: usize, k: usize, v: Vector<T, S>) {
    let rows = &mut rows[first..first + 3];
    for i in 0..3 {
        T::lanes_mut::<S>(&mut rows[i])[k] = v[i];
    }
}

#[inline(always)]
fn load_pose<T: Real, S: Simd>(rows: &[Row<T>], link: usize, k: usize) -> (Matrix<T, S>, Vector<T, S>) {
    let rows = &rows[link * POSE_ROWS..(link + 1) * POSE_ROWS];
    ([load::<T, S>(rows, 0, k), load::<T, S>(rows, 3, k), load::<T, S>(rows, 6, k)], load::<T, S>(rows, 9, k))
}

#[inline(always)]
fn splat<T: Real, S: Simd>(simd: S, v: &[T]) -> Vector<T, S> {
    let v = &v[..3];
    [T::splat(simd, v[0]), T::splat(simd, v[1]), T::splat(simd, v[2])]
}

/// `a·x + b`.
#[inline(always)]
fn scaled_add<T: Real, S: Simd>(simd: S, a: T::Lanes<S>, x: Vector<T, S>, b: Vector<T, S>) -> Vector<T, S> {
    [T::mul_add(simd, a, x[0], b[0]), T::mul_add(simd, a, x[1], b[1]), T::mul_add(simd, a, x[2], b[2])]
}

#[inline(always)]
fn scaled<T: Real, S: Simd>(simd: S, a: T::Lanes<S>, x: Vector<T, S>) -> Vector<T, S> {
    [T::mul(simd, a, x[0]), T::mul(simd, a, x[1]), T::mul(simd, a, x[2])]
}

#[inline(always)]
fn sum<T: Real, S: Simd>(simd: S, a: Vector<T, S>, b: Vector<T, S>) -> Vector<T, S> {
    [T::add(simd, a[0], b[0]), T::add(simd, a[1], b[1]), T::add(simd, a[2], b[2])]
}

/// `R·x`.
#[inline(always)]
fn rotated<T: Real, S: Simd>(simd: S, r: &Matrix<T, S>, x: Vector<T, S>) -> Vector<T, S> {
    let y = scaled::<T, S>(simd, x[0], r[0]);
    scaled_add::<T, S>(simd, x[2], r[2], scaled_add::<T, S>(simd, x[1], r[1], y))
}

/// `R·x + p`.
#[inline(always)]
fn moved_by<T: Real, S: Simd>(simd: S, r: &Matrix<T, S>, p: Vector<T, S>, x: Vector<T, S>) -> Vector<T, S> {
    let y = scaled_add::<T, S>(simd, x[0], r[0], p);
    scaled_add::<T, S>(simd, x[2], r[2], scaled_add::<T, S>(simd, x[1], r[1], y))
}

/// `a × b + c`.
#[inline(always)]
fn cross_add<T: Real, S: Simd>(simd: S, a: Vector<T, S>, b: Vector<T, S>, c: Vector<T, S>) -> Vector<T, S> {
    [
        T::negate_mul_add(simd, a[2], b[1], T::mul_add(simd, a[1], b[2], c[0])),
        T::negate_mul_add(simd, a[0], b[2], T::mul_add(simd, a[2], b[0], c[1])),
        T::negate_mul_add(simd, a[1], b[0], T::mul_add(simd, a[0], b[1], c[2])),
    ]
}

/// `R·exp(e·θ)` of an axis of the frame: two columns turn into each other.
#[inline(always)]
fn rotate<T: Real, S: Simd, const FROM: usize, const TO: usize>(
    simd: S,
    r: &mut Matrix<T, S>,
    sine: T::Lanes<S>,
    cosine: T::Lanes<S>,
) {
    let (a, b) = (r[FROM], r[TO]);
    r[FROM] = scaled_add::<T, S>(simd, sine, b, scaled::<T, S>(simd, cosine, a));
    let back = scaled::<T, S>(simd, cosine, b);
    r[TO] = [
        T::negate_mul_add(simd, sine, a[0], back[0]),
        T::negate_mul_add(simd, sine, a[1], back[1]),
        T::negate_mul_add(simd, sine, a[2], back[2]),
    ];
}

/// Poses of all links, and the twists of their columns.
#[inline(always)]
fn links<T: Real, S: Simd, const TWISTS: bool>(
    simd: S,
    k: usize,
    table: &Table<T>,
    inputs: &[Row<T>],
    motions: &[Row<T>],
    poses: &mut [Row<T>],
    twists: &mut [Row<T>],
) {
    for link in 1..table.links() {
        let (mut r, mut p) = load_pose::<T, S>(poses, table.link_parent[link] as usize, k);
        for i in table.link_start[link] as usize..table.link_start[link + 1] as usize {
            let code = table.operation_code[i];
            let constant = table.operation_constant[i] as usize;
            let motion = table.operation_motion[i] as usize;
            let (column, onto) = (table.operation_column[i], table.operation_onto[i]);
            let twist = TWISTS && column != NONE;
            match code {
                operation::SHIFT => {
                    p = moved_by::<T, S>(simd, &r, p, splat::<T, S>(simd, &table.constants[constant..]));
                }
                operation::TURN => {
                    let c = &table.constants[constant..constant + 9];
                    r = [
                        rotated::<T, S>(simd, &r, splat::<T, S>(simd, &c[..3])),
                        rotated::<T, S>(simd, &r, splat::<T, S>(simd, &c[3..6])),
                        rotated::<T, S>(simd, &r, splat::<T, S>(simd, &c[6..])),
                    ];
                }
                operation::ROTOR => {
                    if twist {
                        for j in 0..3 {
                            let onto = if onto == NONE { NONE } else { onto + j };
                            turning::<T, S>(simd, k, twists, column + j, onto, r[j as usize], p);
                        }
                    }
                    let rotor = &inputs[table.coordinates as usize + 9 * motion..];
                    r = [
                        rotated::<T, S>(simd, &r, load::<T, S>(rotor, 0, k)),
                        rotated::<T, S>(simd, &r, load::<T, S>(rotor, 3, k)),
                        rotated::<T, S>(simd, &r, load::<T, S>(rotor, 6, k)),
                    ];
                }
                _ => {
                    let rows = &motions[motion * MOTION_ROWS..(motion + 1) * MOTION_ROWS];
                    let [first, second, slope] = load::<T, S>(rows, 0, k);
                    if code < operation::SLIDE {
                        if twist {
                            let axis = r[usize::from(code - operation::ROTATE).min(2)];
                            turning::<T, S>(simd, k, twists, column, onto, scaled::<T, S>(simd, slope, axis), p);
                        }
                        match code - operation::ROTATE {
                            0 => rotate::<T, S, 1, 2>(simd, &mut r, first, second),
                            1 => rotate::<T, S, 2, 0>(simd, &mut r, first, second),
                            _ => rotate::<T, S, 0, 1>(simd, &mut r, first, second),
                        }
                        continue;
                    }
                    let axis = match code - operation::SLIDE {
                        0 => r[0],
                        1 => r[1],
                        2 => r[2],
                        _ => rotated::<T, S>(simd, &r, splat::<T, S>(simd, &table.constants[constant..])),
                    };
                    if twist {
                        sliding::<T, S>(simd, k, twists, column, onto, scaled::<T, S>(simd, slope, axis));
                    }
                    p = scaled_add::<T, S>(simd, first, axis, p);
                }
            }
        }
        for j in 0..3 {
            store::<T, S>(poses, link * POSE_ROWS + 3 * j, k, r[j]);
        }
        store::<T, S>(poses, link * POSE_ROWS + 9, k, p);
    }
}

/// Adds the twist of a rotation of rate `omega` about an axis through `pivot` to what `onto` holds.
#[inline(always)]
fn turning<T: Real, S: Simd>(
    simd: S,
    k: usize,
    twists: &mut [Row<T>],
    column: u32,
    onto: u32,
    omega: Vector<T, S>,
    pivot: Vector<T, S>,
) {
    let zero = [T::splat(simd, T::default()); 3];
    let (mut w, mut v) = (omega, zero);
    if onto != NONE {
        let first = onto as usize * TWIST_ROWS;
        w = sum::<T, S>(simd, load::<T, S>(twists, first, k), omega);
        v = load::<T, S>(twists, first + 3, k);
    }
    store::<T, S>(twists, column as usize * TWIST_ROWS, k, w);
    store::<T, S>(twists, column as usize * TWIST_ROWS + 3, k, cross_add::<T, S>(simd, pivot, omega, v));
}

/// The same of a displacement of rate `velocity`.
#[inline(always)]
fn sliding<T: Real, S: Simd>(simd: S, k: usize, twists: &mut [Row<T>], column: u32, onto: u32, velocity: Vector<T, S>) {
    let (mut w, mut v) = ([T::splat(simd, T::default()); 3], velocity);
    if onto != NONE {
        let first = onto as usize * TWIST_ROWS;
        w = load::<T, S>(twists, first, k);
        v = sum::<T, S>(simd, load::<T, S>(twists, first + 3, k), velocity);
    }
    store::<T, S>(twists, column as usize * TWIST_ROWS, k, w);
    store::<T, S>(twists, column as usize * TWIST_ROWS + 3, k, v);
}

/// Markers, link by link.
#[inline(always)]
fn places<T: Real, S: Simd>(simd: S, k: usize, table: &Table<T>, poses: &[Row<T>], markers: &mut [Row<T>]) {
    for link in 0..table.links() {
        let on = table.link_marker_start[link] as usize..table.link_marker_start[link + 1] as usize;
        let (r, p) = load_pose::<T, S>(poses, link, k);
        for (&marker, place) in table.marker[on.clone()].iter().zip(table.marker_place[3 * on.start..].chunks_exact(3))
        {
            store::<T, S>(markers, 3 * marker as usize, k, moved_by::<T, S>(simd, &r, p, splat::<T, S>(simd, place)));
        }
    }
}

/// Bodies' poses from their links'.
#[inline(always)]
fn body_poses<T: Real, S: Simd>(simd: S, k: usize, table: &Table<T>, poses: &[Row<T>], bodies: &mut [Row<T>]) {
    for (body, &link) in table.body_link.iter().enumerate() {
        let (r, p) = load_pose::<T, S>(poses, link as usize, k);
        let rotation = &table.body_rotation[9 * body..9 * body + 9];
        for j in 0..3 {
            let column = rotated::<T, S>(simd, &r, splat::<T, S>(simd, &rotation[3 * j..3 * j + 3]));
            store::<T, S>(bodies, body * POSE_ROWS + 3 * j, k, column);
        }
        let origin = splat::<T, S>(simd, &table.body_origin[3 * body..3 * body + 3]);
        store::<T, S>(bodies, body * POSE_ROWS + 9, k, moved_by::<T, S>(simd, &r, p, origin));
    }
}

/// `v + ω × p` of every pair of a marker and a coordinate that moves it.
#[inline(always)]
fn derivatives<T: Real, S: Simd>(
    simd: S,
    k: usize,
    table: &Table<T>,
    twists: &[Row<T>],
    markers: &[Row<T>],
    jacobian: &mut [Row<T>],
) {
    for link in 0..table.links() {
        let on = table.link_marker_start[link] as usize..table.link_marker_start[link + 1] as usize;
        let columns = table.link_column_start[link] as usize..table.link_column_start[link + 1] as usize;
        for (i, &column) in table.link_column[columns].iter().enumerate() {
            let v = load::<T, S>(twists, column as usize * TWIST_ROWS + 3, k);
            let first = |marker: u32| 3 * (table.pair_start[marker as usize] as usize + i);
            if table.column_turns[column as usize] == 0 {
                for &marker in &table.marker[on.clone()] {
                    store::<T, S>(jacobian, first(marker), k, v);
                }
                continue;
            }
            let omega = load::<T, S>(twists, column as usize * TWIST_ROWS, k);
            for &marker in &table.marker[on.clone()] {
                let p = load::<T, S>(markers, 3 * marker as usize, k);
                store::<T, S>(jacobian, first(marker), k, cross_add::<T, S>(simd, omega, p, v));
            }
        }
    }
}
