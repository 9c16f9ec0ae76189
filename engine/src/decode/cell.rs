//! The cells of one column of a run of records, as text: what a format offers and columns are built from.

/// Cells of one column. All formats write values the same way, so one column builder serves them all.
pub(super) trait Cells {
    /// Number of cells.
    fn rows(&self) -> usize;

    /// The text of a cell, unquoted and unescaped, `None` for NULL; the reason if it can't be had. `scratch` is for text that does not
    /// stand in the block as such; its contents do not outlive the next call.
    fn text<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, String>;
}
