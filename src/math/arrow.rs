//! Block-banded symmetric systems with a dense border: the normal equations of a spline trajectory with shared parameters.
//!
//! ```text
//!     ⎡ A₁        E₁ ⎤ ⎡x₁⎤   ⎡b₁⎤     one band Aᵢ per trial: K blocks of n×n, half bandwidth p blocks
//!     ⎢     A₂    E₂ ⎥ ⎢x₂⎥ = ⎢b₂⎥     one border column per shared parameter
//!     ⎣ E₁ᵀ E₂ᵀ   C  ⎦ ⎣ s⎦   ⎣ c⎦     C dense
//! ```
//!
//! Banded Cholesky `Aᵢ = LᵢLᵢᵀ`, then `Yᵢ = Lᵢ⁻¹Eᵢ`, the Schur complement `S = C − Σ YᵢᵀYᵢ`, its Cholesky factor, and
//! back-substitution (Triggs et al. 2000, *Bundle adjustment*, §6). Cost is linear in K. The same factors give the blocks of the inverse
//! inside the band (Takahashi, Fagan & Chin 1973), which are the posterior covariances.
//!
//! Everything is factored in place: of a long trial's border there is one copy. Work is cut into pieces of fixed
//! size and every sum is taken in a fixed order, so that results do not depend on the number of threads.

use super::dense;
use faer::{MatMut, MatRef};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Border columns that are eliminated together: fixed, so that sums are the same on any number of threads.
const COLUMN_CHUNK: usize = 48;

/// The matrix is not positive definite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the normal matrix is not positive definite at row {index} of {place:?}")]
pub struct NonPositivePivot {
    /// Which part.
    pub place: Part,
    /// Row inside it.
    pub index: usize,
}

/// A part of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The band of this trial.
    Band(usize),
    /// The Schur complement on the border.
    Border,
}

/// A symmetric block-banded matrix, lower triangle, stored by block columns: the panel of block column `j` is a
/// column-major `(p+1)·n × n` matrix holding blocks `(j, j), (j+1, j), …, (j+p, j)`.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockBanded {
    /// Rows of a block.
    pub block: usize,
    /// Number of diagonal blocks.
    pub blocks: usize,
    /// Half bandwidth, blocks.
    pub bandwidth: usize,
    data: Vec<f64>,
}

impl BlockBanded {
    /// All zero.
    pub fn zeros(block: usize, blocks: usize, bandwidth: usize) -> Self {
        Self { block, blocks, bandwidth, data: vec![0.0; blocks * (bandwidth + 1) * block * block] }
    }

    /// Sets everything to zero.
    pub fn clear(&mut self) {
        self.data.fill(0.0);
    }

    /// Rows of the matrix.
    pub fn order(&self) -> usize {
        self.block * self.blocks
    }

    /// Length of a panel in storage.
    fn panel_len(&self) -> usize {
        (self.bandwidth + 1) * self.block * self.block
    }

    /// The panels of block columns `first ..`, as one slice.
    pub fn panels_mut(&mut self, first: usize) -> &mut [f64] {
        let n = self.panel_len();
        &mut self.data[first * n..]
    }

    /// All panels.
    pub fn panels(&self) -> &[f64] {
        &self.data
    }

    /// Column `column` of block `(i, j)`, `j ≤ i ≤ j + p`.
    pub fn column_mut(&mut self, i: usize, j: usize, column: usize) -> &mut [f64] {
        let o = self.offset(i, j, 0, column);
        &mut self.data[o..o + self.block]
    }

    /// The element at `(row, column)` of block `(i, j)`, `j ≤ i ≤ j + p`.
    pub fn at(&self, i: usize, j: usize, row: usize, column: usize) -> f64 {
        self.data[self.offset(i, j, row, column)]
    }

    /// The same, to change it.
    pub fn at_mut(&mut self, i: usize, j: usize, row: usize, column: usize) -> &mut f64 {
        let o = self.offset(i, j, row, column);
        &mut self.data[o]
    }

    fn offset(&self, i: usize, j: usize, row: usize, column: usize) -> usize {
        let ld = (self.bandwidth + 1) * self.block;
        j * self.panel_len() + column * ld + (i - j) * self.block + row
    }

    /// The diagonal.
    pub fn diagonal(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.order()).map(|r| self.at(r / self.block, r / self.block, r % self.block, r % self.block))
    }

    fn panel(&self, j: usize) -> MatRef<'_, f64> {
        let (n, p) = (self.block, self.bandwidth);
        let len = self.panel_len();
        MatRef::from_column_major_slice(&self.data[j * len..(j + 1) * len], (p + 1) * n, n)
    }

    /// Rows of panel `j` below its diagonal block that lie inside the matrix.
    fn below(&self, j: usize) -> usize {
        self.bandwidth.min(self.blocks - 1 - j) * self.block
    }

    /// Cholesky factorisation in place; on failure, the row at which it stopped.
    fn factor(&mut self) -> Result<(), usize> {
        let (n, p, len) = (self.block, self.bandwidth, self.panel_len());
        let mut workspace = dense::CholeskyWorkspace::new(n);
        for j in 0..self.blocks {
            let rows = self.below(j);
            let (head, tail) = self.data.split_at_mut((j + 1) * len);
            let panel = MatMut::from_column_major_slice_mut(&mut head[j * len..], (p + 1) * n, n);
            let (mut diagonal, below) = panel.split_at_row_mut(n);
            let mut below = below.subrows_mut(0, rows);
            dense::cholesky(diagonal.as_mut(), &mut workspace).map_err(|row| j * n + row)?;
            // L_ij = A_ij·L_jj⁻ᵀ, that is L_jj·L_ijᵀ = A_ijᵀ.
            dense::solve_lower(diagonal.as_ref(), below.as_mut().transpose_mut());
            let below = below.as_ref();
            for d in 1..=rows / n {
                let target = &mut tail[(d - 1) * len..d * len];
                let target = MatMut::from_column_major_slice_mut(target, (p + 1) * n, n);
                let left = below.subrows((d - 1) * n, rows - (d - 1) * n);
                let right = below.subrows((d - 1) * n, n);
                dense::subtract_product(target.subrows_mut(0, left.nrows()), left, right.transpose());
            }
        }
        Ok(())
    }

    /// `x ← L⁻¹·x` for a factored matrix.
    fn solve_lower(&self, mut x: MatMut<'_, f64>) {
        let n = self.block;
        for j in 0..self.blocks {
            let rows = self.below(j);
            let panel = self.panel(j);
            let (_, rest) = x.as_mut().split_at_row_mut(j * n);
            let (mut here, rest) = rest.split_at_row_mut(n);
            dense::solve_lower(panel.subrows(0, n), here.as_mut());
            if rows > 0 {
                dense::subtract_product(rest.subrows_mut(0, rows), panel.subrows(n, rows), here.as_ref());
            }
        }
    }

    /// `x ← L⁻ᵀ·x` for a factored matrix.
    fn solve_upper(&self, mut x: MatMut<'_, f64>) {
        let n = self.block;
        for j in (0..self.blocks).rev() {
            let rows = self.below(j);
            let panel = self.panel(j);
            let (_, rest) = x.as_mut().split_at_row_mut(j * n);
            let (mut here, rest) = rest.split_at_row_mut(n);
            if rows > 0 {
                let rest = rest.as_ref().subrows(0, rows);
                dense::subtract_product(here.as_mut(), panel.subrows(n, rows).transpose(), rest);
            }
            dense::solve_upper(panel.subrows(0, n).transpose(), here);
        }
    }

    /// The blocks of the inverse inside the band, from the factor. Blocks on the diagonal are full (both triangles).
    fn selected_inverse(&self) -> BlockBanded {
        let (n, p) = (self.block, self.bandwidth);
        let mut z = BlockBanded::zeros(n, self.blocks, p);
        let mut window = faer::Mat::<f64>::zeros(p * n, p * n);
        let mut g = faer::Mat::<f64>::zeros(p * n, n);
        for j in (0..self.blocks).rev() {
            let rows = self.below(j);
            let panel = self.panel(j);
            let l = panel.subrows(0, n);
            // Z_jj = L_jj⁻ᵀ L_jj⁻¹ to begin with.
            let mut inverse = faer::Mat::<f64>::identity(n, n);
            dense::solve_lower(l, inverse.as_mut());
            dense::solve_upper(l.transpose(), inverse.as_mut());
            if rows > 0 {
                // G = L_below·L_jj⁻¹, and the square of Z that the band of the blocks below covers.
                let mut g = g.as_mut().subrows_mut(0, rows);
                g.copy_from(panel.subrows(n, rows));
                dense::solve_upper(l.transpose(), g.as_mut().transpose_mut());
                let mut window = window.as_mut().submatrix_mut(0, 0, rows, rows);
                for c in 0..rows / n {
                    let source = z.panel(j + 1 + c);
                    for r in c..rows / n {
                        let block = source.subrows((r - c) * n, n);
                        window.as_mut().submatrix_mut(r * n, c * n, n, n).copy_from(block);
                        if r > c {
                            window.as_mut().submatrix_mut(c * n, r * n, n, n).copy_from(block.transpose());
                        }
                    }
                }
                let len = z.panel_len();
                let target = &mut z.data[j * len..(j + 1) * len];
                let target = MatMut::from_column_major_slice_mut(target, (p + 1) * n, n);
                let (mut top, below) = target.split_at_row_mut(n);
                let mut below = below.subrows_mut(0, rows);
                dense::negative_product(below.as_mut(), window.as_ref(), g.as_ref());
                top.copy_from(&inverse);
                dense::subtract_product(top.as_mut(), g.as_ref().transpose(), below.as_ref());
                // Like every Riccati recursion this one has an unstable antisymmetric mode, which rounding feeds.
                for c in 0..n {
                    for r in 0..c {
                        let mean = 0.5 * (top[(r, c)] + top[(c, r)]);
                        top[(r, c)] = mean;
                        top[(c, r)] = mean;
                    }
                }
            } else {
                let len = z.panel_len();
                let target = &mut z.data[j * len..(j + 1) * len];
                MatMut::from_column_major_slice_mut(target, (p + 1) * n, n).subrows_mut(0, n).copy_from(&inverse);
            }
        }
        z
    }
}

/// One trial's share of the system.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// `A`.
    pub matrix: BlockBanded,
    /// `E`, column-major, rows as `A`'s.
    pub border: Vec<f64>,
    /// `b`.
    pub rhs: Vec<f64>,
}

impl Band {
    /// All zero.
    pub fn zeros(block: usize, blocks: usize, bandwidth: usize, columns: usize) -> Self {
        let order = block * blocks;
        Self {
            matrix: BlockBanded::zeros(block, blocks, bandwidth),
            border: vec![0.0; order * columns],
            rhs: vec![0.0; order],
        }
    }

    fn border(&self, columns: usize) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.border, self.matrix.order(), columns)
    }
}

/// The system. `corner` is column-major, both triangles.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrow {
    /// One per trial.
    pub bands: Vec<Band>,
    /// `C`.
    pub corner: Vec<f64>,
    /// `c`.
    pub corner_rhs: Vec<f64>,
}

/// What a session says about its shared parameters once its trajectories are eliminated: `½ sᵀ·matrix·s − vectorᵀ·s + cost`
/// to second order about the parameters it was taken at. Sessions that share parameters add these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchurComplement {
    /// Number of shared parameters.
    pub order: usize,
    /// Column-major, both triangles.
    pub matrix: Vec<f64>,
    /// Right-hand side: minus the gradient, reduced.
    pub vector: Vec<f64>,
    /// Objective at the point of linearisation.
    pub cost: f64,
}

/// The factored system.
#[derive(Debug, Clone)]
pub struct ArrowFactor {
    bands: Vec<Band>,
    /// Cholesky factor of the Schur complement, lower, column-major.
    corner: Vec<f64>,
    corner_rhs: Vec<f64>,
}

/// The step a system asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrowSolution {
    /// Per trial.
    pub bands: Vec<Vec<f64>>,
    /// Shared parameters.
    pub border: Vec<f64>,
}

impl Arrow {
    /// Number of shared parameters.
    pub fn columns(&self) -> usize {
        self.corner_rhs.len()
    }

    /// Eliminates the bands: factors them in place and returns the Schur complement on the border.
    ///
    /// # Errors
    /// When a band is not positive definite.
    pub fn eliminate(mut self, cost: f64) -> Result<(SchurComplement, EliminatedBands), NonPositivePivot> {
        let columns = self.columns();
        let failures: Vec<Option<usize>> = self.bands.par_iter_mut().map(|band| band.matrix.factor().err()).collect();
        if let Some((trial, index)) = failures.iter().enumerate().find_map(|(i, f)| f.map(|f| (i, f))) {
            return Err(NonPositivePivot { place: Part::Band(trial), index });
        }
        for band in &mut self.bands {
            let order = band.matrix.order();
            let matrix = &band.matrix;
            if order > 0 {
                band.border.par_chunks_mut(order * COLUMN_CHUNK).for_each(|chunk| {
                    let m = chunk.len() / order;
                    matrix.solve_lower(MatMut::from_column_major_slice_mut(chunk, order, m));
                });
                matrix.solve_lower(MatMut::from_column_major_slice_mut(&mut band.rhs, order, 1));
            }
        }
        // S = C − ΣYᵀY by pairs of column chunks; each pair sums over trials in order.
        let chunks = columns.div_ceil(COLUMN_CHUNK);
        let pairs: Vec<(usize, usize)> = (0..chunks).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
        let width = |i: usize| COLUMN_CHUNK.min(columns - i * COLUMN_CHUNK);
        let blocks: Vec<faer::Mat<f64>> = pairs
            .par_iter()
            .map(|&(i, j)| {
                let mut s = faer::Mat::<f64>::zeros(width(i), width(j));
                for band in &self.bands {
                    let y = band.border(columns);
                    let (yi, yj) = (y.subcols(i * COLUMN_CHUNK, width(i)), y.subcols(j * COLUMN_CHUNK, width(j)));
                    if i == j {
                        dense::subtract_product_lower(s.as_mut(), yi.transpose(), yj);
                    } else {
                        dense::subtract_product(s.as_mut(), yi.transpose(), yj);
                    }
                }
                s
            })
            .collect();
        for (&(i, j), s) in pairs.iter().zip(&blocks) {
            for c in 0..s.ncols() {
                for r in if i == j { c } else { 0 }..s.nrows() {
                    let (row, column) = (i * COLUMN_CHUNK + r, j * COLUMN_CHUNK + c);
                    let value = self.corner[column * columns + row] + s[(r, c)];
                    self.corner[column * columns + row] = value;
                    self.corner[row * columns + column] = value;
                }
            }
        }
        for band in &self.bands {
            let y = band.border(columns);
            let rhs = MatRef::from_column_major_slice(&band.rhs, band.rhs.len(), 1);
            let reduced = MatMut::from_column_major_slice_mut(&mut self.corner_rhs, columns, 1);
            if columns > 0 {
                dense::subtract_product(reduced, y.transpose(), rhs);
            }
        }
        let schur = SchurComplement { order: columns, matrix: self.corner, vector: self.corner_rhs, cost };
        Ok((schur, EliminatedBands { bands: self.bands }))
    }

    /// Factors the whole system.
    ///
    /// # Errors
    /// When it is not positive definite.
    pub fn factor(self) -> Result<ArrowFactor, NonPositivePivot> {
        let (schur, bands) = self.eliminate(0.0)?;
        bands.with_border(schur)
    }
}

/// Bands after elimination, waiting for their border: `L`, `Y`, `L⁻¹b`.
#[derive(Debug, Clone)]
pub struct EliminatedBands {
    bands: Vec<Band>,
}

impl EliminatedBands {
    /// Factors the border's Schur complement (this session's own, or one to which others were added).
    ///
    /// # Errors
    /// When it is not positive definite.
    pub fn with_border(self, schur: SchurComplement) -> Result<ArrowFactor, NonPositivePivot> {
        let n = schur.order;
        let mut corner = schur.matrix;
        if n > 0 {
            let matrix = MatMut::from_column_major_slice_mut(&mut corner, n, n);
            dense::cholesky(matrix, &mut dense::CholeskyWorkspace::new(n))
                .map_err(|index| NonPositivePivot { place: Part::Border, index })?;
        }
        Ok(ArrowFactor { bands: self.bands, corner, corner_rhs: schur.vector })
    }
}

impl ArrowFactor {
    fn corner(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.corner, self.corner_rhs.len(), self.corner_rhs.len())
    }

    /// The solution for the right-hand side the system was built with.
    pub fn solve(&self) -> ArrowSolution {
        let columns = self.corner_rhs.len();
        let mut border = self.corner_rhs.clone();
        if columns > 0 {
            let mut s = MatMut::from_column_major_slice_mut(&mut border, columns, 1);
            dense::solve_lower(self.corner(), s.as_mut());
            dense::solve_upper(self.corner().transpose(), s);
        }
        let bands = self
            .bands
            .par_iter()
            .map(|band| {
                let order = band.matrix.order();
                let mut x = band.rhs.clone();
                if order > 0 {
                    let mut view = MatMut::from_column_major_slice_mut(&mut x, order, 1);
                    if columns > 0 {
                        let s = MatRef::from_column_major_slice(&border, columns, 1);
                        dense::subtract_product(view.as_mut(), band.border(columns), s);
                    }
                    band.matrix.solve_upper(view);
                }
                x
            })
            .collect();
        ArrowSolution { bands, border }
    }

    /// The inverse, as far as the band and the border reach. Consumes the factor: a long trial's border is large.
    pub fn into_covariance(mut self) -> Covariance {
        let columns = self.corner_rhs.len();
        let mut corner_inverse = faer::Mat::<f64>::identity(columns, columns);
        if columns > 0 {
            dense::solve_lower(self.corner(), corner_inverse.as_mut());
            dense::solve_upper(self.corner().transpose(), corner_inverse.as_mut());
        }
        let corner = MatRef::from_column_major_slice(&self.corner, columns, columns);
        let bands = self
            .bands
            .par_iter_mut()
            .map(|band| {
                let order = band.matrix.order();
                let inside = band.matrix.selected_inverse();
                if order > 0 && columns > 0 {
                    let matrix = &band.matrix;
                    band.border.par_chunks_mut(order * COLUMN_CHUNK).for_each(|chunk| {
                        let m = chunk.len() / order;
                        matrix.solve_upper(MatMut::from_column_major_slice_mut(chunk, order, m));
                    });
                    // V = A⁻¹E·R⁻ᵀ with S = RRᵀ, so that the border adds V·Vᵀ to the inverse of A.
                    let v = MatMut::from_column_major_slice_mut(&mut band.border, order, columns);
                    dense::solve_lower(corner, v.transpose_mut());
                }
                BandCovariance { inside, through_border: std::mem::take(&mut band.border) }
            })
            .collect();
        let border = corner_inverse.col_iter().flat_map(|c| c.iter().copied().collect::<Vec<_>>()).collect();
        Covariance { columns, bands, border }
    }
}

/// Blocks of the inverse of the whole system.
#[derive(Debug, Clone)]
pub struct Covariance {
    /// Number of shared parameters.
    pub columns: usize,
    /// Per trial.
    pub bands: Vec<BandCovariance>,
    /// Covariance of the shared parameters, column-major.
    pub border: Vec<f64>,
}

/// The covariance of a trial's control points is `inside + V·Vᵀ`.
#[derive(Debug, Clone)]
pub struct BandCovariance {
    /// Inverse of the band alone, inside the band.
    pub inside: BlockBanded,
    /// `V`, column-major: what the uncertainty of the shared parameters adds.
    pub through_border: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// A random positive definite arrow and its dense twin (nalgebra).
    fn random(trials: &[usize], n: usize, p: usize, columns: usize, seed: u64) -> (Arrow, nalgebra::DMatrix<f64>) {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let total: usize = trials.iter().sum::<usize>() * n + columns;
        let mut dense = nalgebra::DMatrix::<f64>::zeros(total, total);
        let mut bands = Vec::new();
        let mut start = 0;
        for &blocks in trials {
            let mut band = Band::zeros(n, blocks, p, columns);
            for j in 0..blocks {
                for i in j..blocks.min(j + p + 1) {
                    for c in 0..n {
                        for r in 0..n {
                            if i == j && r < c {
                                continue;
                            }
                            let v: f64 = rng.random_range(-1.0..1.0)
                                + if i == j && r == c { 4.0 * (n * (p + 1)) as f64 } else { 0.0 };
                            *band.matrix.at_mut(i, j, r, c) = v;
                            if i == j {
                                *band.matrix.at_mut(i, j, c, r) = v;
                            }
                            dense[(start + i * n + r, start + j * n + c)] = v;
                            dense[(start + j * n + c, start + i * n + r)] = v;
                        }
                    }
                }
            }
            let order = blocks * n;
            for c in 0..columns {
                for r in 0..order {
                    let v: f64 = rng.random_range(-0.3..0.3);
                    band.border[c * order + r] = v;
                    dense[(start + r, total - columns + c)] = v;
                    dense[(total - columns + c, start + r)] = v;
                }
            }
            band.rhs.iter_mut().for_each(|x| *x = rng.random_range(-1.0..1.0));
            bands.push(band);
            start += order;
        }
        let mut corner = vec![0.0; columns * columns];
        for c in 0..columns {
            for r in c..columns {
                let v: f64 = rng.random_range(-1.0..1.0) + if r == c { total as f64 } else { 0.0 };
                corner[c * columns + r] = v;
                corner[r * columns + c] = v;
                dense[(start + r, start + c)] = v;
                dense[(start + c, start + r)] = v;
            }
        }
        let corner_rhs = (0..columns).map(|_| rng.random_range(-1.0..1.0)).collect();
        (Arrow { bands, corner, corner_rhs }, dense)
    }

    #[test]
    fn agrees_with_a_dense_solve() {
        for (trials, n, p, columns) in [
            (vec![9], 5, 3, 7),
            (vec![1], 3, 3, 2),
            (vec![2, 6], 4, 3, 50),
            (vec![4, 1, 3], 2, 0, 3),
            (vec![5], 3, 1, 0),
            (vec![3], 45, 3, 101),
        ] {
            let (arrow, dense) = random(&trials, n, p, columns, 7);
            let rhs: Vec<f64> =
                arrow.bands.iter().flat_map(|b| b.rhs.clone()).chain(arrow.corner_rhs.clone()).collect();
            let expected = dense.clone().cholesky().unwrap().solve(&nalgebra::DVector::from_vec(rhs));
            let factor = arrow.factor().unwrap();
            let s = factor.solve();
            let got: Vec<f64> = s.bands.concat().into_iter().chain(s.border).collect();
            // Condition number is below 100 by construction; 1e-12 leaves two digits.
            for (a, b) in got.iter().zip(expected.iter()) {
                assert!((a - b).abs() < 1e-12, "{trials:?}: {a} {b}");
            }
            let inverse = dense.try_inverse().unwrap();
            let covariance = factor.into_covariance();
            let mut start = 0;
            for (band, &blocks) in covariance.bands.iter().zip(&trials) {
                let order = blocks * n;
                for j in 0..blocks {
                    for i in j..blocks.min(j + p + 1) {
                        for r in 0..n {
                            for c in 0..n {
                                let (row, column) = (i * n + r, j * n + c);
                                let through: f64 = (0..columns)
                                    .map(|k| {
                                        band.through_border[k * order + row] * band.through_border[k * order + column]
                                    })
                                    .sum();
                                let got = band.inside.at(i, j, r, c) + through;
                                assert!((got - inverse[(start + row, start + column)]).abs() < 1e-12);
                            }
                        }
                    }
                }
                start += order;
            }
            for r in 0..columns {
                for c in 0..columns {
                    assert!((covariance.border[c * columns + r] - inverse[(start + r, start + c)]).abs() < 1e-12);
                }
            }
        }
    }

    /// What smoothing splines are: third differences with a precision that dwarfs the data's, here by ten orders of magnitude.
    #[test]
    fn inverse_stays_accurate_where_smoothness_rules() {
        let (n, blocks, p) = (3, 120, 3);
        let mut band = BlockBanded::zeros(n, blocks, p);
        let mut dense = nalgebra::DMatrix::<f64>::zeros(n * blocks, n * blocks);
        let d = [-1.0, 3.0, -3.0, 1.0];
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut add = |i: usize, j: usize, r: usize, c: usize, v: f64| {
            *band.at_mut(i, j, r, c) += v;
            dense[(i * n + r, j * n + c)] += v;
            if i != j {
                dense[(j * n + c, i * n + r)] += v;
            }
        };
        for k in 0..blocks {
            // Data that couples the rows of a block.
            let x: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
            for r in 0..n {
                for c in 0..n {
                    add(k, k, r, c, x[r] * x[c] + if r == c { 0.1 } else { 0.0 });
                }
            }
            for r in 0..n {
                let lambda = [1e10, 1e4, 1.0][r];
                for a in 0..4 {
                    for b in 0..=a {
                        if k + 3 < blocks {
                            add(k + a, k + b, r, r, lambda * d[a] * d[b]);
                        }
                    }
                }
            }
        }
        let inverse = dense.try_inverse().unwrap();
        band.factor().unwrap();
        let z = band.selected_inverse();
        for j in 0..blocks {
            for r in 0..n {
                for c in 0..n {
                    let (got, expected) = (z.at(j, j, r, c), inverse[(j * n + r, j * n + c)]);
                    let scale = (inverse[(j * n + r, j * n + r)] * inverse[(j * n + c, j * n + c)]).sqrt();
                    // Condition 1e11: five digits are what the dense inverse has.
                    assert!((got - expected).abs() < 1e-4 * scale, "block {j}: {got} {expected}");
                }
            }
        }
    }

    #[test]
    fn says_where_it_is_not_positive() {
        let (mut arrow, _) = random(&[3, 4], 2, 1, 3, 1);
        *arrow.bands[1].matrix.at_mut(2, 2, 1, 1) = -1.0;
        assert_eq!(arrow.factor().unwrap_err(), NonPositivePivot { place: Part::Band(1), index: 5 });
        let (mut arrow, _) = random(&[3], 2, 1, 3, 1);
        arrow.corner[4] = -5.0;
        assert_eq!(arrow.factor().unwrap_err(), NonPositivePivot { place: Part::Border, index: 1 });
    }

    #[test]
    fn same_bits_on_any_number_of_threads() {
        let solve = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (arrow, _) = random(&[6, 5], 7, 3, 130, 3);
            pool.install(|| arrow.factor().unwrap().solve())
        };
        assert_eq!(solve(1), solve(4));
    }
}
