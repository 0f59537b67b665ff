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
//! A long band is eliminated from both ends at once. Everything is factored in place: of a long trial's border there is one copy. Work is cut into pieces of fixed
//! size and every sum is taken in a fixed order, so that results do not depend on the number of threads.

use super::banded::{BlockBanded, split};
use super::border::{Border, PANEL};
use super::dense;
use super::zeroed;
use faer::{MatMut, MatRef};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

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

/// One trial's share of the system.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// `A`.
    pub matrix: BlockBanded,
    /// `E`, rows as `A`'s.
    pub border: Border,
    /// `b`.
    pub rhs: Vec<f64>,
}

impl Band {
    /// All zero.
    pub fn zeros(block: usize, blocks: usize, bandwidth: usize, columns: usize) -> Self {
        let order = block * blocks;
        Self {
            matrix: BlockBanded::zeros(block, blocks, bandwidth),
            border: Border::zeros(order, columns),
            rhs: vec![0.0; order],
        }
    }

    /// All zero, of any shape, in this one's memory as far as it goes: a long trial's border is large, and fresh memory costs the system more than zeroing it.
    pub fn reshape(&mut self, block: usize, blocks: usize, bandwidth: usize, columns: usize) {
        self.matrix.reshape(block, blocks, bandwidth);
        self.border.reshape(block * blocks, columns);
        zeroed(&mut self.rhs, block * blocks);
    }
}

/// Some controls in a row of a [`Band`], to add to: threads sum over different ones.
pub struct BandPart<'a> {
    block: usize,
    bandwidth: usize,
    blocks: usize,
    matrix: &'a mut [f64],
    border: Vec<&'a mut [f64]>,
    rhs: &'a mut [f64],
}

impl Band {
    /// Controls `.. ends[0]`, `ends[0] .. ends[1]`, and so on: ascending, none beyond the last control.
    pub fn parts_mut(&mut self, ends: &[usize]) -> Vec<BandPart<'_>> {
        let (block, bandwidth) = (self.matrix.block, self.matrix.bandwidth);
        let rows: Vec<usize> = ends.iter().map(|end| end * block).collect();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let (matrices, borders) = (self.matrix.parts_mut(ends), self.border.parts_mut(&rows));
        let rest = matrices.into_iter().zip(borders).zip(split(&mut self.rhs, block, ends));
        let part = |((start, end), ((matrix, border), rhs)): ((usize, &usize), _)| BandPart {
            block,
            bandwidth,
            blocks: end - start,
            matrix,
            border,
            rhs,
        };
        starts.zip(ends).zip(rest).map(part).collect()
    }
}

impl BandPart<'_> {
    /// Its controls.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The same, for a while.
    pub fn reborrow(&mut self) -> BandPart<'_> {
        let border = self.border.iter_mut().map(|panel| &mut **panel).collect();
        BandPart { matrix: self.matrix, border, rhs: self.rhs, ..*self }
    }

    /// Column `column` of the block with column control `j` of these and row control `i`, `j ≤ i ≤ j + p`, which may lie beyond these.
    #[inline]
    pub fn column_mut(&mut self, i: usize, j: usize, column: usize) -> &mut [f64] {
        let (n, rows) = (self.block, (self.bandwidth + 1) * self.block);
        let at = j * rows * n + column * rows + (i - j) * n;
        &mut self.matrix[at..at + n]
    }

    /// Columns of a panel ([`PANEL`]) of the border's row `row`, counted from these controls' first.
    #[inline]
    pub fn border_mut(&mut self, row: usize, panel: usize, columns: Range<usize>) -> &mut [f64] {
        let data = &mut self.border[panel];
        let width = data.len() / (self.blocks * self.block);
        &mut data[row * width + columns.start..row * width + columns.end]
    }

    /// Right-hand side of a control.
    #[inline]
    pub fn rhs_mut(&mut self, block: usize) -> &mut [f64] {
        &mut self.rhs[block * self.block..(block + 1) * self.block]
    }

    /// Adds `other`, which has as many columns and no more controls, to the first controls.
    pub fn add(&mut self, other: &Band) {
        let m = &other.matrix;
        debug_assert!((m.block, m.bandwidth) == (self.block, self.bandwidth) && m.blocks <= self.blocks);
        fn all(to: &mut [f64], from: &[f64]) {
            for (a, b) in to.iter_mut().zip(from) {
                *a += b;
            }
        }
        all(self.matrix, other.matrix.data());
        for (i, to) in self.border.iter_mut().enumerate() {
            all(to, other.border.panel_data(i));
        }
        all(self.rhs, &other.rhs);
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
            if order > 0 {
                band.border.solve_lower(&band.matrix);
                band.matrix.solve_lower(MatMut::from_column_major_slice_mut(&mut band.rhs, order, 1));
            }
        }
        // S = C − ΣYᵀY by pairs of panels; each pair sums over trials in order.
        let panels = columns.div_ceil(PANEL);
        let pairs: Vec<(usize, usize)> = (0..panels).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
        let width = |i: usize| PANEL.min(columns - i * PANEL);
        let blocks: Vec<faer::Mat<f64>> = pairs
            .par_iter()
            .map(|&(i, j)| {
                let mut s = faer::Mat::<f64>::zeros(width(i), width(j));
                for band in &self.bands {
                    let (yi, yj) = (band.border.panel(i), band.border.panel(j));
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
                    let (row, column) = (i * PANEL + r, j * PANEL + c);
                    let value = self.corner[column * columns + row] + s[(r, c)];
                    self.corner[column * columns + row] = value;
                    self.corner[row * columns + column] = value;
                }
            }
        }
        for band in &self.bands {
            band.border.subtract_transposed_times(&mut self.corner_rhs, &band.rhs);
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
    /// Of each band's inverse, shared parameters held, the blocks inside the band.
    pub fn inverses_inside(&self) -> Vec<BlockBanded> {
        self.bands.par_iter().map(|band| band.matrix.selected_inverse()).collect()
    }

    /// Their memory, for the next system.
    pub fn into_bands(self) -> Vec<Band> {
        self.bands
    }

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
                    band.border.subtract_times(&mut x, &border);
                    band.matrix.solve_upper(MatMut::from_column_major_slice_mut(&mut x, order, 1));
                }
                x
            })
            .collect();
        ArrowSolution { bands, border }
    }

    /// The memory of the factor, for the next system.
    pub fn into_bands(self) -> Vec<Band> {
        self.bands
    }

    /// The inverse, as far as the band and the border reach. Consumes the factor: a long trial's border is large.
    pub fn into_covariance(self) -> Covariance {
        let columns = self.corner_rhs.len();
        let mut corner_inverse = faer::Mat::<f64>::identity(columns, columns);
        if columns > 0 {
            dense::solve_lower(self.corner(), corner_inverse.as_mut());
            dense::solve_upper(self.corner().transpose(), corner_inverse.as_mut());
        }
        let corner = MatRef::from_column_major_slice(&self.corner, columns, columns);
        let bands = self
            .bands
            .into_par_iter()
            .map(|mut band| {
                let inside = band.matrix.selected_inverse();
                // V = A⁻¹E·R⁻ᵀ with S = RRᵀ, so that the border adds V·Vᵀ to the inverse of A.
                band.border.solve_upper(&band.matrix);
                band.border.solve_right(corner);
                BandCovariance { inside, through_border: band.border }
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
    /// `V`: what the uncertainty of the shared parameters adds.
    pub through_border: Border,
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
                    *band.border.at_mut(r, c) = v;
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
            // Long enough for two ends.
            (vec![40], 5, 3, 7),
            (vec![24, 9, 25], 4, 3, 60),
            (vec![31], 3, 2, 0),
            (vec![8], 3, 1, 1),
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
                                    .map(|k| band.through_border.at(row, k) * band.through_border.at(column, k))
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
        for block in [3, 5, 9] {
            let (mut arrow, _) = random(&[12], 2, 1, 3, 1);
            *arrow.bands[0].matrix.at_mut(block, block, 1, 1) = -1.0;
            let expected = NonPositivePivot { place: Part::Band(0), index: 2 * block + 1 };
            assert_eq!(arrow.factor().unwrap_err(), expected);
        }
        let (mut arrow, _) = random(&[3], 2, 1, 3, 1);
        arrow.corner[4] = -5.0;
        assert_eq!(arrow.factor().unwrap_err(), NonPositivePivot { place: Part::Border, index: 1 });
    }

    #[test]
    fn same_bits_on_any_number_of_threads() {
        let solve = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (arrow, _) = random(&[6, 40, 5], 7, 3, 130, 3);
            pool.install(|| arrow.factor().unwrap().solve())
        };
        assert_eq!(solve(1), solve(4));
    }
}
