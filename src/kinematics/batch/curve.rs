//! Functions of a coordinate as a row of stages, each a line, a polynomial or cubic pieces.

use super::table::{Table, motion, stage};
use crate::math::lanes::{Real, Row, sin_cos_rows};
use crate::skeleton::Function;
use pulp::Simd;

/// One stage, while a table is made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    Line(f64, f64),
    Polynomial(Vec<f64>),
    /// Start of each piece and its `x₀, a, b, c, d`.
    Pieces(Vec<(f64, [f64; 5])>),
}

impl Stage {
    pub fn code(&self) -> u8 {
        match self {
            Self::Line(..) => stage::LINE,
            Self::Polynomial(_) => stage::POLYNOMIAL,
            Self::Pieces(_) => stage::PIECES,
        }
    }

    pub fn parameters(&self) -> Vec<f64> {
        match self {
            Self::Line(slope, intercept) => vec![*slope, *intercept],
            Self::Polynomial(coefficients) => coefficients.clone(),
            Self::Pieces(pieces) => pieces.iter().map(|p| p.0).chain(pieces.iter().flat_map(|p| p.1)).collect(),
        }
    }
}

/// `factor · function` as stages, at least one; lines are worked into what precedes them.
pub(super) fn stages(function: &Function, factor: f64) -> Vec<Stage> {
    let mut made = Vec::new();
    append(function, &mut made);
    line(factor, 0.0, &mut made);
    if made.is_empty() {
        made.push(Stage::Line(1.0, 0.0));
    }
    made
}

fn append(function: &Function, out: &mut Vec<Stage>) {
    if let Some((slope, intercept)) = function.as_linear() {
        return line(slope, intercept, out);
    }
    match function {
        Function::Constant(value) => line(0.0, *value, out),
        Function::Linear { slope, intercept } => line(*slope, *intercept, out),
        Function::Polynomial(coefficients) => out.push(Stage::Polynomial(coefficients.clone())),
        Function::PiecewiseLinear { x, y } => {
            let piece = |i: usize| [x[i], y[i], (y[i + 1] - y[i]) / (x[i + 1] - x[i]), 0.0, 0.0];
            out.push(Stage::Pieces((0..x.len() - 1).map(|i| (x[i], piece(i))).collect()));
        }
        Function::SimmSpline { x, y, b, c, d } => {
            let last = x.len() - 1;
            let mut pieces = vec![(x[0], [x[0], y[0], b[0], 0.0, 0.0])];
            pieces.extend((0..last).map(|i| (x[i], [x[i], y[i], b[i], c[i], d[i]])));
            pieces.push((x[last], [x[last], y[last], b[last], 0.0, 0.0]));
            out.push(Stage::Pieces(pieces));
        }
        Function::Multiple { factor, inner } => {
            append(inner, out);
            line(*factor, 0.0, out);
        }
        Function::Composite { outer, inner } => {
            append(inner, out);
            append(outer, out);
        }
    }
}

/// `slope·x + intercept` after what there is.
fn line(slope: f64, intercept: f64, out: &mut Vec<Stage>) {
    match out.last_mut() {
        _ if slope == 1.0 && intercept == 0.0 => {}
        None => out.push(Stage::Line(slope, intercept)),
        Some(Stage::Line(a, b)) => (*a, *b) = (slope * *a, slope * *b + intercept),
        Some(Stage::Polynomial(coefficients)) => {
            coefficients.iter_mut().for_each(|c| *c *= slope);
            match coefficients.last_mut() {
                Some(constant) => *constant += intercept,
                None => coefficients.push(intercept),
            }
        }
        Some(Stage::Pieces(pieces)) => {
            for (_, piece) in pieces {
                piece[1..].iter_mut().for_each(|c| *c *= slope);
                piece[1] += intercept;
            }
        }
    }
}

/// Rows of a motion: sine or length, cosine, and with `SLOPES` the derivative of angle or length.
pub(super) const MOTION_ROWS: usize = 3;

/// Every motion of a tile from its inputs.
#[inline(always)]
pub(super) fn motions<T: Real, S: Simd, const SLOPES: bool>(
    simd: S,
    table: &Table<T>,
    inputs: &[Row<T>],
    out: &mut [Row<T>],
) {
    for (m, rows) in out.chunks_exact_mut(MOTION_ROWS).enumerate() {
        let [first, second, slope] = rows else { continue };
        let x = &inputs[table.motion_coordinate[m] as usize];
        let parts = table.motion_start[m] as usize..table.motion_start[m + 1] as usize;
        let mut value = *x;
        for (i, part) in parts.enumerate() {
            let parameters = &table.parameters[table.stage_start[part] as usize..table.stage_start[part + 1] as usize];
            let after = if i == 0 { None } else { Some(&*slope) };
            let (y, dy) = match table.stage_code[part] {
                stage::LINE => on_line::<T, S, SLOPES>(simd, parameters, &value, after),
                stage::POLYNOMIAL => on_polynomial::<T, S, SLOPES>(simd, parameters, &value, after),
                _ => on_pieces::<T, S, SLOPES>(simd, parameters, &value, after),
            };
            value = y;
            if SLOPES {
                *slope = dy;
            }
        }
        if table.motion_code[m] == motion::ANGLE {
            sin_cos_rows(simd, &value, first, second);
        } else {
            *first = value;
        }
    }
}

/// `dy·before`, by the chain rule.
#[inline(always)]
fn chained<T: Real, S: Simd>(simd: S, dy: T::Lanes<S>, before: Option<&Row<T>>, k: usize) -> T::Lanes<S> {
    match before {
        Some(row) => T::mul(simd, dy, T::lanes::<S>(row)[k]),
        None => dy,
    }
}

#[inline(always)]
fn on_line<T: Real, S: Simd, const SLOPES: bool>(
    simd: S,
    parameters: &[T],
    x: &Row<T>,
    before: Option<&Row<T>>,
) -> (Row<T>, Row<T>) {
    let (mut y, mut dy) = (*x, *x);
    let (slope, intercept) = (T::splat(simd, parameters[0]), T::splat(simd, parameters[1]));
    for k in 0..T::lanes::<S>(x).len() {
        T::lanes_mut::<S>(&mut y)[k] = T::mul_add(simd, slope, T::lanes::<S>(x)[k], intercept);
        if SLOPES {
            T::lanes_mut::<S>(&mut dy)[k] = chained::<T, S>(simd, slope, before, k);
        }
    }
    (y, dy)
}

#[inline(always)]
fn on_polynomial<T: Real, S: Simd, const SLOPES: bool>(
    simd: S,
    parameters: &[T],
    x: &Row<T>,
    before: Option<&Row<T>>,
) -> (Row<T>, Row<T>) {
    let (mut y, mut dy) = (*x, *x);
    for k in 0..T::lanes::<S>(x).len() {
        let x = T::lanes::<S>(x)[k];
        let mut f = T::splat(simd, T::default());
        let mut slope = f;
        for &c in parameters {
            if SLOPES {
                slope = T::mul_add(simd, slope, x, f);
            }
            f = T::mul_add(simd, f, x, T::splat(simd, c));
        }
        T::lanes_mut::<S>(&mut y)[k] = f;
        if SLOPES {
            T::lanes_mut::<S>(&mut dy)[k] = chained::<T, S>(simd, slope, before, k);
        }
    }
    (y, dy)
}

/// Frames that follow each other lie on one piece or two, so those that any frame of the tile is on are tried one after the other.
#[inline(always)]
fn on_pieces<T: Real, S: Simd, const SLOPES: bool>(
    simd: S,
    parameters: &[T],
    x: &Row<T>,
    before: Option<&Row<T>>,
) -> (Row<T>, Row<T>) {
    let (starts, pieces) = parameters.split_at(parameters.len() / 6);
    let (mut low, mut high) = (None::<T>, None::<T>);
    for &x in x.0.iter().filter(|x| !x.to_f64().is_nan()) {
        low = Some(low.map_or(x, |l| if x < l { x } else { l }));
        high = Some(high.map_or(x, |h| if x > h { x } else { h }));
    }
    let piece = |x: Option<T>| x.map_or(0, |x| starts[1..].partition_point(|&start| start <= x));
    let (low, high) = (piece(low), piece(high));
    let (mut y, mut dy) = (*x, *x);
    for k in 0..T::lanes::<S>(x).len() {
        let x = T::lanes::<S>(x)[k];
        let mut p = [x; 5];
        for j in 0..5 {
            p[j] = T::splat(simd, pieces[5 * low + j]);
        }
        for i in low + 1..=high {
            for j in 0..5 {
                p[j] = T::where_at_least(simd, x, T::splat(simd, starts[i]), T::splat(simd, pieces[5 * i + j]), p[j]);
            }
        }
        let [origin, a, b, c, d] = p;
        let t = T::sub(simd, x, origin);
        let inner = T::mul_add(simd, t, d, c);
        T::lanes_mut::<S>(&mut y)[k] = T::mul_add(simd, t, T::mul_add(simd, t, inner, b), a);
        if SLOPES {
            // b + t·(2c + 3dt)
            let outer = T::add(simd, T::add(simd, inner, inner), T::mul(simd, t, d));
            let slope = T::mul_add(simd, t, outer, b);
            T::lanes_mut::<S>(&mut dy)[k] = chained::<T, S>(simd, slope, before, k);
        }
    }
    (y, dy)
}
