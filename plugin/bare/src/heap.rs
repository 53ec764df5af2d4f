//! Memory that is given and, but for the last block, never taken back: a program that lives a millisecond has no time to.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Bytes that are fetched from the kernel at least: what nobody touches is no memory.
const FETCH: usize = 256 << 10;

/// The heap of a program with one thread.
#[derive(Debug)]
pub struct Heap {
    /// The first byte that is free.
    free: Cell<*mut u8>,
    /// How many there are.
    left: Cell<usize>,
}

// SAFETY: the program has one thread.
unsafe impl Sync for Heap {}

impl Heap {
    /// Empty, until something is wanted of it.
    pub const fn new() -> Self {
        Self {
            free: Cell::new(ptr::null_mut()),
            left: Cell::new(0),
        }
    }

    /// Takes a block off the free bytes, if they are enough.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let free = self.free.get();
        let gap = free.addr().wrapping_neg() & (layout.align() - 1);
        let left = self
            .left
            .get()
            .checked_sub(gap.checked_add(layout.size())?)?;
        self.left.set(left);
        self.free.set(free.wrapping_add(gap + layout.size()));
        Some(free.wrapping_add(gap))
    }

    /// Has the kernel give more than a block needs. What is left of the earlier bytes is lost.
    fn fetch(&self, layout: Layout) -> Option<()> {
        // Twice, since who wants much will want more.
        let wanted = layout.size().checked_mul(2)?.checked_add(layout.align())?;
        let bytes = wanted.checked_next_multiple_of(FETCH)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: it is made where nothing is.
        let made = unsafe { mmap_anonymous(ptr::null_mut(), bytes, access, MapFlags::PRIVATE) };
        self.free.set(made.ok()?.cast());
        self.left.set(bytes);
        Some(())
    }

    /// Whether nothing was given since this block.
    fn is_last(&self, block: *mut u8, size: usize) -> bool {
        ptr::eq(block.wrapping_add(size), self.free.get())
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks come from mappings that stay, and never overlap: what is given lies behind all that was given before in
// its mapping, unless that was taken back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = self
            .take(layout)
            .or_else(|| self.fetch(layout).and_then(|()| self.take(layout)));
        taken.unwrap_or(ptr::null_mut())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.is_last(block, layout.size()) {
            self.free.set(block);
            self.left.set(self.left.get() + layout.size());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.is_last(block, layout.size()) {
            let room = self.left.get() + layout.size();
            if let Some(left) = room.checked_sub(size) {
                self.free.set(block.wrapping_add(size));
                self.left.set(left);
                return block;
            }
        } else if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller's: the size is not zero and the alignment the same.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both have so many bytes, and the new block overlaps none that was given.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// A block that was given, and what was written into it.
    struct Block {
        at: *mut u8,
        layout: Layout,
        filled: u8,
    }

    impl Block {
        fn fill(&self) {
            // SAFETY: it was given.
            unsafe { ptr::write_bytes(self.at, self.filled, self.layout.size()) };
        }

        fn holds(&self, bytes: usize) -> bool {
            // SAFETY: it was given and filled.
            let held =
                unsafe { core::slice::from_raw_parts(self.at, self.layout.size().min(bytes)) };
            held.iter().all(|byte| *byte == self.filled)
        }
    }

    fn sizes() -> impl Strategy<Value = usize> {
        prop_oneof![8 => 1_usize..500, 1 => 1_usize..2 * FETCH]
    }

    proptest! {
        #[test]
        fn blocks_are_aligned_and_keep_what_they_hold(
            steps in prop::collection::vec((0_u8..4, sizes(), 0_u32..8, any::<prop::sample::Index>()), 1..80)
        ) {
            let heap = Heap::new();
            let mut blocks: Vec<Block> = Vec::new();
            for (at, (what, size, align, which)) in (0_u8..).zip(steps) {
                if what < 2 || blocks.is_empty() {
                    let layout = Layout::from_size_align(size, 1 << align).map_err(|_| TestCaseError::fail("layout"))?;
                    // SAFETY: the size is not zero.
                    let block = Block { at: unsafe { heap.alloc(layout) }, layout, filled: at };
                    prop_assert!(!block.at.is_null() && block.at.addr().is_multiple_of(layout.align()));
                    block.fill();
                    blocks.push(block);
                } else if what == 2 {
                    let block = blocks.swap_remove(which.index(blocks.len()));
                    // SAFETY: it was given with this layout and is not used again.
                    unsafe { heap.dealloc(block.at, block.layout) };
                } else {
                    let which = which.index(blocks.len());
                    let block = &mut blocks[which];
                    let before = block.layout.size();
                    // SAFETY: it was given with this layout, and is used where it is now.
                    block.at = unsafe { heap.realloc(block.at, block.layout, size) };
                    block.layout = Layout::from_size_align(size, block.layout.align()).map_err(|_| TestCaseError::fail("layout"))?;
                    prop_assert!(block.at.addr().is_multiple_of(block.layout.align()) && block.holds(before));
                    block.fill();
                }
                prop_assert!(blocks.iter().all(|block| block.holds(usize::MAX)));
            }
        }
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let heap = Heap::new();
        for size in [isize::MAX as usize & !7, 1 << 46] {
            let layout = Layout::from_size_align(size, 8).map(|layout| {
                // SAFETY: the size is not zero.
                unsafe { heap.alloc(layout) }
            });
            assert_eq!(layout, Ok(ptr::null_mut()));
        }
    }
}
