//! Symmetric block-banded matrices: Cholesky factorisation, triangular solves, and the blocks of the inverse inside the band.

use super::dense;
use super::zeroed;
use faer::{MatMut, MatRef};
use std::ops::Range;

/// A band of fewer blocks than this times its half bandwidth is eliminated from one end.
const SHORT: usize = 8;

/// Items `.. ends[0]`, `ends[0] .. ends[1]`, and so on, of `size` numbers each.
pub(super) fn split<'a>(mut data: &'a mut [f64], size: usize, ends: &[usize]) -> Vec<&'a mut [f64]> {
    let mut start = 0;
    let part = |&end: &usize| {
        let (own, behind) = std::mem::take(&mut data).split_at_mut((end - start) * size);
        (data, start) = (behind, end);
        own
    };
    ends.iter().map(part).collect()
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

    /// All zero, of any shape, in this one's memory if there is enough of it.
    pub fn reshape(&mut self, block: usize, blocks: usize, bandwidth: usize) {
        (self.block, self.blocks, self.bandwidth) = (block, blocks, bandwidth);
        zeroed(&mut self.data, blocks * (bandwidth + 1) * block * block);
    }

    /// Rows of the matrix.
    pub fn order(&self) -> usize {
        self.block * self.blocks
    }

    /// Length of a panel in storage.
    fn panel_len(&self) -> usize {
        (self.bandwidth + 1) * self.block * self.block
    }

    /// Block columns `.. ends[0]`, `ends[0] .. ends[1]`, and so on, as they are stored.
    pub(super) fn parts_mut(&mut self, ends: &[usize]) -> Vec<&mut [f64]> {
        let size = self.panel_len();
        split(&mut self.data, size, ends)
    }

    /// As it is stored.
    pub(super) fn data(&self) -> &[f64] {
        &self.data
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

    /// Blocks that are eliminated last, where both ends meet: as many as couple them. Those before are eliminated from the first on, those behind from the last; a short band has no second
    /// end.
    fn middle(&self) -> Range<usize> {
        let (k, p) = (self.blocks, self.bandwidth);
        if p == 0 || k < SHORT * p {
            return k..k;
        }
        let first = (k - p) / 2;
        first..first + p
    }

    /// Rows of panel `j` below its diagonal block that its elimination concerns.
    fn below_of(&self, j: usize, middle: &Range<usize>) -> usize {
        if middle.contains(&j) { (middle.end - 1 - j) * self.block } else { self.below(j) }
    }

    /// Cholesky factorisation in place, from both ends at once (a twisted factorisation; of tridiagonal matrices, LINPACK's `dptsl`: Dongarra et al. 1979, *LINPACK users' guide*, ch. 7): a column of `L` for each block, its
    /// rows below, or for blocks behind the middle those before: `Wᵢⱼ = Lᵢᵢ⁻¹·Aᵢⱼ` at `(i, j)`. On failure, the row at which it stopped.
    pub(super) fn factor(&mut self) -> Result<(), usize> {
        let (n, p, len, blocks) = (self.block, self.bandwidth, self.panel_len(), self.blocks);
        let middle = self.middle();
        let (front, back) = self.data.split_at_mut(middle.start * len);
        // What the front leaves for the middle; the back writes there itself.
        let mut passed_on = vec![0.0; middle.len() * len];
        let mut from_front = || -> Result<(), usize> {
            let mut workspace = dense::CholeskyWorkspace::new(n);
            for j in 0..middle.start {
                let rows = p.min(blocks - 1 - j) * n;
                let (head, tail) = front.split_at_mut((j + 1) * len);
                eliminate(&mut head[j * len..], (n, rows), &mut workspace).map_err(|row| j * n + row)?;
                let below = MatRef::from_column_major_slice(&head[j * len..], (p + 1) * n, n).subrows(n, rows);
                for d in 1..=rows / n {
                    let target = match (j + d).checked_sub(middle.start) {
                        Some(beyond) => &mut passed_on[beyond * len..(beyond + 1) * len],
                        None => &mut tail[(d - 1) * len..d * len],
                    };
                    subtract_own(target, below.subrows((d - 1) * n, rows - (d - 1) * n), n);
                }
            }
            Ok(())
        };
        let from_back = || -> Result<(), usize> {
            let mut workspace = dense::CholeskyWorkspace::new(n);
            let mut row = faer::Mat::<f64>::zeros(n, p * n);
            for i in (middle.end..blocks).rev() {
                let (head, tail) = back.split_at_mut((i - middle.start) * len);
                let mut diagonal =
                    MatMut::from_column_major_slice_mut(&mut tail[..len], (p + 1) * n, n).subrows_mut(0, n);
                dense::cholesky(diagonal.as_mut(), &mut workspace).map_err(|row| i * n + row)?;
                let first = (i - p - middle.start) * len;
                for (k, panel) in head[first..].chunks_exact(len).enumerate() {
                    let block = MatRef::from_column_major_slice(panel, (p + 1) * n, n).subrows((p - k) * n, n);
                    row.as_mut().subcols_mut(k * n, n).copy_from(block);
                }
                dense::solve_lower(diagonal.as_ref(), row.as_mut());
                for (k, panel) in head[first..].chunks_exact_mut(len).enumerate() {
                    let (left, own) = (row.as_ref().subcols(k * n, (p - k) * n), row.as_ref().subcols(k * n, n));
                    let panel = MatMut::from_column_major_slice_mut(panel, (p + 1) * n, n);
                    let (above, below) = panel.split_at_row_mut((p - k) * n);
                    below.subrows_mut(0, n).copy_from(own);
                    dense::subtract_product(above, left.transpose(), own);
                }
            }
            Ok(())
        };
        let (front_done, back_done) =
            if middle.is_empty() { (from_front(), Ok(())) } else { rayon::join(from_front, from_back) };
        front_done.and(back_done)?;
        let mut workspace = dense::CholeskyWorkspace::new(n);
        self.data[middle.start * len..].iter_mut().zip(&passed_on).for_each(|(a, b)| *a += b);
        for j in middle.clone() {
            let rows = self.below_of(j, &middle);
            let (head, tail) = self.data.split_at_mut((j + 1) * len);
            eliminate(&mut head[j * len..], (n, rows), &mut workspace).map_err(|row| j * n + row)?;
            let below = MatRef::from_column_major_slice(&head[j * len..], (p + 1) * n, n).subrows(n, rows);
            for d in 1..=rows / n {
                subtract_own(&mut tail[(d - 1) * len..d * len], below.subrows((d - 1) * n, rows - (d - 1) * n), n);
            }
        }
        Ok(())
    }

    /// `Wᵢⱼ` of a block behind the middle, side by side.
    fn row_of(&self, i: usize, mut row: MatMut<'_, f64>) {
        let (n, p) = (self.block, self.bandwidth);
        for k in 0..p {
            row.as_mut().subcols_mut(k * n, n).copy_from(self.panel(i - p + k).subrows((p - k) * n, n));
        }
    }

    /// `x ← L⁻¹·x` for a factored matrix.
    pub(super) fn solve_lower(&self, mut x: MatMut<'_, f64>) {
        let (n, p, middle) = (self.block, self.bandwidth, self.middle());
        let mut w = faer::Mat::<f64>::zeros(n, p * n);
        for i in (middle.end..self.blocks).rev() {
            self.row_of(i, w.as_mut());
            let (before, rest) = x.as_mut().split_at_row_mut(i * n);
            let mut here = rest.subrows_mut(0, n);
            dense::solve_lower(self.panel(i).subrows(0, n), here.as_mut());
            dense::subtract_product(before.subrows_mut((i - p) * n, p * n), w.as_ref().transpose(), here.as_ref());
        }
        for j in 0..middle.end {
            let rows = self.below_of(j, &middle);
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
    pub(super) fn solve_upper(&self, mut x: MatMut<'_, f64>) {
        let (n, p, middle) = (self.block, self.bandwidth, self.middle());
        for j in (0..middle.end).rev() {
            let rows = self.below_of(j, &middle);
            let panel = self.panel(j);
            let (_, rest) = x.as_mut().split_at_row_mut(j * n);
            let (mut here, rest) = rest.split_at_row_mut(n);
            if rows > 0 {
                let rest = rest.as_ref().subrows(0, rows);
                dense::subtract_product(here.as_mut(), panel.subrows(n, rows).transpose(), rest);
            }
            dense::solve_upper(panel.subrows(0, n).transpose(), here);
        }
        let mut w = faer::Mat::<f64>::zeros(n, p * n);
        for i in middle.end..self.blocks {
            self.row_of(i, w.as_mut());
            let (before, rest) = x.as_mut().split_at_row_mut(i * n);
            let mut here = rest.subrows_mut(0, n);
            dense::subtract_product(here.as_mut(), w.as_ref(), before.as_ref().subrows((i - p) * n, p * n));
            dense::solve_upper(self.panel(i).subrows(0, n).transpose(), here);
        }
    }

    /// The blocks of the inverse inside the band, from the factor. Blocks on the diagonal are full (both triangles).
    pub(super) fn selected_inverse(&self) -> BlockBanded {
        let (n, p, len) = (self.block, self.bandwidth, self.panel_len());
        let middle = self.middle();
        let mut z = BlockBanded::zeros(n, self.blocks, p);
        let mut work = InverseWork::new(n, p);
        for j in middle.clone().rev() {
            let (head, tail) = z.data.split_at_mut((j + 1) * len);
            work.column(&self.panel(j), self.below_of(j, &middle), &mut head[j * len..], |c| &tail[c * len..]);
        }
        let (front, back) = z.data.split_at_mut(middle.start * len);
        let of_middle = back[..middle.len() * len].to_vec();
        let mut from_front = || {
            let mut work = InverseWork::new(n, p);
            for j in (0..middle.start).rev() {
                let (head, tail) = front.split_at_mut((j + 1) * len);
                work.column(&self.panel(j), self.below(j), &mut head[j * len..], |c| {
                    match (j + 1 + c).checked_sub(middle.start) {
                        Some(beyond) => &of_middle[beyond * len..],
                        None => &tail[c * len..],
                    }
                });
            }
        };
        let from_back = || {
            let mut work = InverseWork::new(n, p);
            let mut g = faer::Mat::<f64>::zeros(n, p * n);
            let mut row = faer::Mat::<f64>::zeros(n, p * n);
            for i in middle.end..self.blocks {
                let l = self.panel(i).subrows(0, n);
                // G = Lᵢᵢ⁻ᵀ·Wᵢ; Zᵢ. = −G·Z, Zᵢᵢ = Lᵢᵢ⁻ᵀ·Lᵢᵢ⁻¹ − Zᵢ.·Gᵀ.
                self.row_of(i, g.as_mut());
                dense::solve_upper(l.transpose(), g.as_mut());
                let (head, tail) = back.split_at_mut((i - middle.start) * len);
                let first = (i - p - middle.start) * len;
                work.square(p * n, |c| &head[first + c * len..]);
                dense::negative_product(row.as_mut(), g.as_ref(), work.window.as_ref());
                for (k, panel) in head[first..].chunks_exact_mut(len).enumerate() {
                    let panel = MatMut::from_column_major_slice_mut(panel, (p + 1) * n, n);
                    panel.subrows_mut((p - k) * n, n).copy_from(row.as_ref().subcols(k * n, n));
                }
                let own = MatMut::from_column_major_slice_mut(&mut tail[..len], (p + 1) * n, n).subrows_mut(0, n);
                diagonal_of_inverse(l, own, row.as_ref(), g.as_ref().transpose());
            }
        };
        if middle.is_empty() {
            from_front();
        } else {
            rayon::join(from_front, from_back);
        }
        z
    }
}

/// The diagonal block of a panel factored, and of the blocks below it `rows` rows made those of `L`: `Lᵢⱼ = Aᵢⱼ·Lⱼⱼ⁻ᵀ`. On failure, the row in the block.
fn eliminate(
    panel: &mut [f64],
    (n, rows): (usize, usize),
    workspace: &mut dense::CholeskyWorkspace,
) -> Result<(), usize> {
    let stored = panel.len() / n;
    let (mut diagonal, below) = MatMut::from_column_major_slice_mut(panel, stored, n).split_at_row_mut(n);
    dense::cholesky(diagonal.as_mut(), workspace)?;
    dense::solve_lower(diagonal.as_ref(), below.subrows_mut(0, rows).transpose_mut());
    Ok(())
}

/// `below·ownᵀ` taken from the first rows of a panel; `own` are the first `n` rows of `below`.
fn subtract_own(panel: &mut [f64], below: MatRef<'_, f64>, n: usize) {
    let stored = panel.len() / n;
    let target = MatMut::from_column_major_slice_mut(panel, stored, n).subrows_mut(0, below.nrows());
    dense::subtract_product(target, below, below.subrows(0, n).transpose());
}

/// Buffers of a pass over an inverse.
struct InverseWork {
    n: usize,
    p: usize,
    /// The square of the inverse that the band of a block covers.
    window: faer::Mat<f64>,
    g: faer::Mat<f64>,
}

impl InverseWork {
    fn new(n: usize, p: usize) -> Self {
        Self { n, p, window: faer::Mat::zeros(p * n, p * n), g: faer::Mat::zeros(p * n, n) }
    }

    /// Fills the window's first `rows` rows from panels of the inverse, one after the other from its first on.
    fn square<'a>(&mut self, rows: usize, panel_of: impl Fn(usize) -> &'a [f64]) {
        let (n, stored) = (self.n, (self.p + 1) * self.n);
        for c in 0..rows / n {
            let source = MatRef::from_column_major_slice(&panel_of(c)[..stored * n], stored, n);
            for r in c..rows / n {
                let block = source.subrows((r - c) * n, n);
                self.window.as_mut().submatrix_mut(r * n, c * n, n, n).copy_from(block);
                if r > c {
                    self.window.as_mut().submatrix_mut(c * n, r * n, n, n).copy_from(block.transpose());
                }
            }
        }
    }

    /// A panel of the inverse from that of the factor, whose `rows` rows below the diagonal count, and the panels after it.
    fn column<'a>(
        &mut self,
        factor: &MatRef<'_, f64>,
        rows: usize,
        out: &mut [f64],
        after: impl Fn(usize) -> &'a [f64],
    ) {
        let n = self.n;
        let l = factor.subrows(0, n);
        self.square(rows, after);
        // G = L_below·L_jj⁻¹; Z_below = −Z·G, Z_jj = L_jj⁻ᵀ·L_jj⁻¹ − Gᵀ·Z_below.
        let mut own = self.g.as_mut().subrows_mut(0, rows);
        own.copy_from(factor.subrows(n, rows));
        dense::solve_upper(l.transpose(), own.as_mut().transpose_mut());
        let stored = out.len() / n;
        let (top, below) = MatMut::from_column_major_slice_mut(out, stored, n).split_at_row_mut(n);
        let mut below = below.subrows_mut(0, rows);
        if rows > 0 {
            dense::negative_product(below.as_mut(), self.window.as_ref().submatrix(0, 0, rows, rows), own.as_ref());
        }
        diagonal_of_inverse(l, top, own.as_ref().transpose(), below.as_ref());
    }
}

/// `L⁻ᵀ·L⁻¹ − a·b`, symmetric as it is but for rounding.
fn diagonal_of_inverse(l: MatRef<'_, f64>, mut out: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    let n = l.nrows();
    let mut inverse = faer::Mat::<f64>::identity(n, n);
    dense::solve_lower(l, inverse.as_mut());
    dense::solve_upper(l.transpose(), inverse.as_mut());
    out.copy_from(&inverse);
    if a.ncols() == 0 {
        return;
    }
    dense::subtract_product(out.as_mut(), a, b);
    // Like every Riccati recursion this one has an unstable antisymmetric mode, which rounding feeds.
    for c in 0..n {
        for r in 0..c {
            let mean = 0.5 * (out[(r, c)] + out[(c, r)]);
            out[(r, c)] = mean;
            out[(c, r)] = mean;
        }
    }
}
