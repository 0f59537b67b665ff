//! The dense kernels the solver uses, by faer, on column-major views and on the calling thread.
//!
//! Why not faer's functions directly: on x86-64 its matrix products leave the upper halves of the vector registers in use. On Intel processors
//! every instruction of the older encoding, which is what the rest of a program is compiled to, then waits for a register it does not need:
//! measured, all code that runs after a product takes half as long again, up to the next system call. Each function here gives
//! the registers back.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltError, LltParams, LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, MatMut, MatRef, Par, Spec};

/// Room for Cholesky factorisations of matrices up to some order, reused between them.
pub struct CholeskyWorkspace(MemBuffer);

impl CholeskyWorkspace {
    /// For matrices of at most `n` rows.
    pub fn new(n: usize) -> Self {
        Self(MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Spec::<LltParams, f64>::default())))
    }
}

/// `A → L` in the lower triangle; on failure, the row at which the pivot was not positive.
pub fn cholesky(a: MatMut<'_, f64>, workspace: &mut CholeskyWorkspace) -> Result<(), usize> {
    let stack = MemStack::new(&mut workspace.0);
    let done = cholesky_in_place(a, LltRegularization::default(), Par::Seq, stack, Spec::<LltParams, f64>::default());
    release_vector_registers();
    match done {
        Ok(_) => Ok(()),
        Err(LltError::NonPositivePivot { index }) => Err(index),
    }
}

/// `x ← L⁻¹·x`.
pub fn solve_lower(l: MatRef<'_, f64>, x: MatMut<'_, f64>) {
    solve_lower_triangular_in_place(l, x, Par::Seq);
    release_vector_registers();
}

/// `x ← U⁻¹·x`.
pub fn solve_upper(u: MatRef<'_, f64>, x: MatMut<'_, f64>) {
    solve_upper_triangular_in_place(u, x, Par::Seq);
    release_vector_registers();
}

/// `Σ a·b` over as many numbers as both have, in four sums side by side: one alone waits for each addition before the next.
#[inline]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let ((a, a_rest), (b, b_rest)) = (a[..n].as_chunks::<4>(), b[..n].as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        for i in 0..4 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// The diagonal of the inverse of a symmetric matrix, column-major; `None` where that is not positive definite.
pub fn inverse_diagonal(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut factor = matrix.to_vec();
    let mut inverse = faer::Mat::<f64>::identity(n, n);
    if n > 0 {
        cholesky(MatMut::from_column_major_slice_mut(&mut factor, n, n), &mut CholeskyWorkspace::new(n)).ok()?;
        solve_lower(MatRef::from_column_major_slice(&factor, n, n), inverse.as_mut());
    }
    // A⁻¹ = L⁻ᵀ·L⁻¹.
    Some(inverse.col_iter().map(|c| c.iter().map(|x| x * x).sum()).collect())
}

/// `c ← −a·b`.
pub fn negative_product(c: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    matmul::matmul(c, Accum::Replace, a, b, -1.0, Par::Seq);
    release_vector_registers();
}

/// `c ← c − a·b`.
pub fn subtract_product(c: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    matmul::matmul(c, Accum::Add, a, b, -1.0, Par::Seq);
    release_vector_registers();
}

/// `c ← c − a·b`, the lower triangle of it alone.
pub fn subtract_product_lower(c: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    let full = BlockStructure::Rectangular;
    triangular::matmul(c, BlockStructure::TriangularLower, Accum::Add, a, full, b, full, -1.0, Par::Seq);
    release_vector_registers();
}

/// What becomes of what was there.
#[cfg(feature = "learn")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulate {
    /// It is written over.
    Replace,
    /// It is added to.
    Add,
}

/// `c ← a·b` or `c ← c + a·b` in single precision, on all threads: in pieces of fixed width, so that the bits do not depend on their number.
#[cfg(feature = "learn")]
pub fn product(c: MatMut<'_, f32>, accumulate: Accumulate, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    use rayon::prelude::*;
    /// Rows or columns of a piece.
    const PIECE: usize = 256;
    let how = match accumulate {
        Accumulate::Replace => Accum::Replace,
        Accumulate::Add => Accum::Add,
    };
    let one = |c: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>| {
        matmul::matmul(c, how, a, b, 1.0, Par::Seq);
        release_vector_registers();
    };
    let by_columns = c.ncols() >= c.nrows();
    let mut pieces = Vec::new();
    let mut rest = c;
    while rest.nrows() > 0 && rest.ncols() > 0 {
        let width = PIECE.min(if by_columns { rest.ncols() } else { rest.nrows() });
        let (piece, others) = match by_columns {
            true => rest.split_at_col_mut(width),
            false => rest.split_at_row_mut(width),
        };
        pieces.push(piece);
        rest = others;
    }
    pieces.into_par_iter().enumerate().for_each(|(i, c)| {
        let (rows, columns) = (c.nrows(), c.ncols());
        match by_columns {
            true => one(c, a, b.subcols(i * PIECE, columns)),
            false => one(c, a.subrows(i * PIECE, rows), b),
        }
    });
}

/// See the module's documentation.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code)]
fn release_vector_registers() {
    #[target_feature(enable = "avx")]
    fn zero_upper() {
        std::arch::x86_64::_mm256_zeroupper();
    }
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has AVX, which is all that the function needs.
        unsafe { zero_upper() }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn release_vector_registers() {}

#[cfg(all(test, feature = "learn"))]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// More than one piece either way. Sums of seventy products below 1 in single precision: 70·6e-8, twice for the second round.
    #[test]
    fn products_in_pieces_are_products() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for (m, k, n) in [(300, 70, 601), (601, 70, 300), (5, 70, 3), (257, 70, 257)] {
            let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>());
            let mut c = vec![f32::NAN; m * n];
            for (accumulate, times) in [(Accumulate::Replace, 1.0), (Accumulate::Add, 2.0)] {
                let (left, right) = (MatRef::from_row_major_slice(&a, m, k), MatRef::from_row_major_slice(&b, k, n));
                product(MatMut::from_row_major_slice_mut(&mut c, m, n), accumulate, left, right);
                for (i, j) in [(0, 0), (m - 1, n - 1), (m - 1, 0), (m / 2, n - 1), (0, n / 2), (255.min(m - 1), 2)] {
                    let sum: f64 = (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j])).sum();
                    assert!((f64::from(c[i * n + j]) - times * sum).abs() < 1e-5, "{m}×{k}×{n} at {i}, {j}");
                }
            }
            assert!(c.iter().all(|x| x.is_finite()));
        }
    }
}
