//! What a rendering may use up.

/// Bounds of one interpreter: they hold for everything that it renders and calls, nested macros included.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Statements, expressions and iterations.
    pub steps: u64,
    /// Macro calls inside one another.
    pub depth: u32,
    pub output_bytes: usize,
    /// Estimated size of the values that were built.
    pub memory_bytes: usize,
    /// Native stack below the first call of the interpreter. The thread must have this much, and some more.
    pub stack_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 20_000_000, depth: 300, output_bytes: 64 << 20, memory_bytes: 512 << 20, stack_bytes: 1 << 20 }
    }
}
