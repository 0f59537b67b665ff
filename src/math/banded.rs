//! Symmetric block-banded matrices: Cholesky factorisation, triangular solves, and the blocks of the inverse inside the band.

use super::dense;
use super::zeroed;
use faer::{MatMut, MatRef};
use rayon::prelude::*;

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

    /// The panels of block columns `first ..`, side by side.
    pub fn par_panels_mut(&mut self, first: usize) -> impl IndexedParallelIterator<Item = &mut [f64]> {
        let n = self.panel_len();
        self.data[first * n..].par_chunks_mut(n.max(1))
    }

    /// The panel of block column `j`, as it is stored.
    pub fn panel_data(&self, j: usize) -> &[f64] {
        let n = self.panel_len();
        &self.data[j * n..(j + 1) * n]
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
    pub(super) fn factor(&mut self) -> Result<(), usize> {
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
    pub(super) fn solve_lower(&self, mut x: MatMut<'_, f64>) {
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
    pub(super) fn solve_upper(&self, mut x: MatMut<'_, f64>) {
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
    pub(super) fn selected_inverse(&self) -> BlockBanded {
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
