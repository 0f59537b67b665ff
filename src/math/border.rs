//! A tall matrix with few columns: what the controls of a trajectory have to do with the shared parameters.
//!
//! Stored in panels of [`PANEL`] columns, row by row inside a panel: a row's neighbouring columns lie together, which is how
//! frames add to it, while whole panels are what threads share out to solve. Panels are of fixed width, so that sums are the same on any number of threads.

use super::banded::BlockBanded;
use super::dense;
use super::zeroed;
use faer::{MatMut, MatRef};
use rayon::prelude::*;

/// Columns of a panel.
pub const PANEL: usize = 48;

/// See the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub struct Border {
    rows: usize,
    columns: usize,
    data: Vec<f64>,
}

impl Border {
    /// All zero.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, data: vec![0.0; rows * columns] }
    }

    /// All zero, of any shape, in this one's memory if there is enough of it.
    pub fn reshape(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        zeroed(&mut self.data, rows * columns);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// An element.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        let first = column - column % PANEL;
        self.data[self.rows * first + row * self.width(column / PANEL) + column - first]
    }

    /// The same, to change it.
    pub fn at_mut(&mut self, row: usize, column: usize) -> &mut f64 {
        let first = column - column % PANEL;
        let width = self.width(column / PANEL);
        &mut self.data[self.rows * first + row * width + column - first]
    }

    /// Number of panels.
    pub(super) fn panels(&self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    /// Columns of panel `i`.
    pub(super) fn width(&self, i: usize) -> usize {
        PANEL.min(self.columns - i * PANEL)
    }

    /// A panel as it is stored.
    pub(super) fn panel_data(&self, i: usize) -> &[f64] {
        let first = self.rows * i * PANEL;
        &self.data[first..first + self.rows * self.width(i)]
    }

    /// A panel, `rows × width`.
    pub(super) fn panel(&self, i: usize) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(self.panel_data(i), self.rows, self.width(i))
    }

    /// Row `row` of each panel, in the order of columns.
    pub fn row(&self, row: usize) -> impl Iterator<Item = &[f64]> {
        (0..self.panels()).map(move |i| {
            let width = self.width(i);
            let first = self.rows * i * PANEL + row * width;
            &self.data[first..first + width]
        })
    }

    /// All panels side by side: their first column, their width, and their rows from the first on.
    fn par_panels_mut(&mut self) -> impl IndexedParallelIterator<Item = (usize, usize, &mut [f64])> {
        let (rows, columns) = (self.rows, self.columns);
        self.data
            .par_chunks_mut((rows * PANEL).max(1))
            .enumerate()
            .map(move |(i, data)| (i * PANEL, PANEL.min(columns - i * PANEL), data))
    }

    /// Rows `.. ends[0]`, `ends[0] .. ends[1]`, and so on: of each such part its rows in each panel.
    pub(super) fn parts_mut(&mut self, ends: &[usize]) -> Vec<Vec<&mut [f64]>> {
        let (rows, panels) = (self.rows, self.panels());
        let widths: Vec<usize> = (0..panels).map(|i| self.width(i)).collect();
        let mut parts: Vec<Vec<&mut [f64]>> = ends.iter().map(|_| Vec::with_capacity(panels)).collect();
        let mut data = &mut self.data[..];
        for width in widths {
            let (mut panel, rest) = data.split_at_mut(rows * width);
            data = rest;
            let mut start = 0;
            for (part, &end) in parts.iter_mut().zip(ends) {
                let (own, behind) = panel.split_at_mut((end - start) * width);
                part.push(own);
                (panel, start) = (behind, end);
            }
        }
        parts
    }

    /// `E ← L⁻¹·E` for a factored band.
    pub(super) fn solve_lower(&mut self, factor: &BlockBanded) {
        let rows = self.rows;
        self.par_panels_mut()
            .for_each(|(_, width, data)| factor.solve_lower(MatMut::from_row_major_slice_mut(data, rows, width)));
    }

    /// `E ← L⁻ᵀ·E` for a factored band.
    pub(super) fn solve_upper(&mut self, factor: &BlockBanded) {
        let rows = self.rows;
        self.par_panels_mut()
            .for_each(|(_, width, data)| factor.solve_upper(MatMut::from_row_major_slice_mut(data, rows, width)));
    }

    /// `E ← E·R⁻ᵀ` for a lower triangular `R`, panel by panel: `Eᵢ ← (Eᵢ − Σⱼ Eⱼ·Rᵢⱼᵀ)·Rᵢᵢ⁻ᵀ`, many rows at once.
    pub(super) fn solve_right(&mut self, r: MatRef<'_, f64>) {
        /// Rows that a thread takes at a time.
        const ROWS: usize = 1024;
        let rows = self.rows;
        for i in 0..self.panels() {
            let (first, width) = (i * PANEL, self.width(i));
            let (done, rest) = self.data.split_at_mut(rows * first);
            rest[..rows * width].par_chunks_mut(ROWS * width).enumerate().for_each(|(chunk, data)| {
                let count = data.len() / width;
                let mut here = MatMut::from_row_major_slice_mut(data, count, width);
                for j in 0..i {
                    let from = rows * j * PANEL + chunk * ROWS * PANEL;
                    let before = MatRef::from_row_major_slice(&done[from..from + count * PANEL], count, PANEL);
                    let block = r.submatrix(first, j * PANEL, width, PANEL);
                    dense::subtract_product(here.as_mut(), before, block.transpose());
                }
                dense::solve_lower(r.submatrix(first, first, width, width), here.transpose_mut());
            });
        }
    }

    /// `y ← y − E·x`.
    pub(super) fn subtract_times(&self, y: &mut [f64], x: &[f64]) {
        let mut y = MatMut::from_column_major_slice_mut(y, self.rows, 1);
        for i in 0..self.panels() {
            let x = MatRef::from_column_major_slice(&x[i * PANEL..i * PANEL + self.width(i)], self.width(i), 1);
            dense::subtract_product(y.as_mut(), self.panel(i), x);
        }
    }

    /// `y ← y − Eᵀ·x`.
    pub(super) fn subtract_transposed_times(&self, y: &mut [f64], x: &[f64]) {
        let x = MatRef::from_column_major_slice(x, self.rows, 1);
        for (i, y) in y.chunks_mut(PANEL).enumerate() {
            let width = y.len();
            let y = MatMut::from_column_major_slice_mut(y, width, 1);
            dense::subtract_product(y, self.panel(i).transpose(), x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_rows_and_panels_are_the_same_numbers() {
        let (rows, columns) = (3, PANEL + 2);
        let mut border = Border::zeros(rows, columns);
        for r in 0..rows {
            for c in 0..columns {
                *border.at_mut(r, c) = (100 * r + c) as f64;
            }
        }
        for r in 0..rows {
            let row: Vec<f64> = border.row(r).flatten().copied().collect();
            assert_eq!(row, (0..columns).map(|c| (100 * r + c) as f64).collect::<Vec<_>>());
            assert_eq!(border.panel(1)[(r, 1)], border.at(r, PANEL + 1));
        }
        let mut seen = Vec::new();
        border.par_panels_mut().map(|(first, width, data)| (first, width, data.len())).collect_into_vec(&mut seen);
        assert_eq!(seen, [(0, PANEL, rows * PANEL), (PANEL, 2, rows * 2)]);
    }

    #[test]
    fn parts_are_rows_of_all_panels() {
        let mut border = Border::zeros(5, PANEL + 2);
        for (i, part) in border.parts_mut(&[2, 2, 5]).into_iter().enumerate() {
            assert_eq!(part.iter().map(|p| p.len()).collect::<Vec<_>>(), [[2, 0, 3][i] * PANEL, [2, 0, 3][i] * 2]);
            part.into_iter().for_each(|panel| panel.fill(i as f64));
        }
        for c in [0, PANEL - 1, PANEL, PANEL + 1] {
            assert_eq!((0..5).map(|r| border.at(r, c)).collect::<Vec<_>>(), [0.0, 0.0, 2.0, 2.0, 2.0]);
        }
    }

    #[test]
    fn no_columns_are_no_trouble() {
        let mut border = Border::zeros(4, 0);
        assert_eq!(border.par_panels_mut().count(), 0);
        border.subtract_times(&mut [0.0; 4], &[]);
        border.subtract_transposed_times(&mut [], &[0.0; 4]);
    }
}
