//! The plugin's allocator: a free list per size class in front of the standard one. A plugin asks
//! for many small pieces per event and gives them all back; the standard allocator of this target
//! takes several times longer for it than a native one.
//!
//! Pieces of up to [`LARGEST`] bytes are rounded up to a power of two and never leave their class;
//! larger ones pass through. There is one thread, so nothing is locked.

#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::UnsafeCell,
    ptr,
};

/// 2^4 to 2^13 bytes.
const SMALLEST_SHIFT: u32 = 4;
const CLASSES: usize = 10;
const LARGEST: usize = 1 << (SMALLEST_SHIFT as usize + CLASSES - 1);
/// Taken from the standard allocator at a time.
const CHUNK: usize = 64 << 10;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Lists {
    free: [ptr::null_mut(); CLASSES],
    next: 0,
    end: 0,
}));

struct Allocator(UnsafeCell<Lists>);

struct Lists {
    /// The first free piece of each class; each holds the address of the next in its first word.
    free: [*mut u8; CLASSES],
    /// What is left of the chunk under way.
    next: usize,
    end: usize,
}

// SAFETY: wasm32-unknown-unknown without the atomics feature has one thread.
unsafe impl Sync for Allocator {}

fn class(layout: &Layout) -> Option<usize> {
    let size = layout.size().max(layout.align());
    if size > LARGEST {
        return None;
    }
    let shift = usize::BITS - size.saturating_sub(1).leading_zeros();
    Some(shift.saturating_sub(SMALLEST_SHIFT) as usize)
}

const fn bytes(class: usize) -> usize {
    1 << (class + SMALLEST_SHIFT as usize)
}

// SAFETY: a piece is on at most one free list and never in use while it is on one. Pieces are
// carved at multiples of their size from chunks that are aligned to the largest class, so they
// fit every alignment up to their size, and `class` covers size and alignment.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(&layout) else {
            return unsafe { System.alloc(layout) };
        };
        let lists = unsafe { &mut *self.0.get() };
        let piece = lists.free[class];
        if piece.is_null() {
            return lists.carve(class);
        }
        lists.free[class] = unsafe { piece.cast::<*mut u8>().read() };
        piece
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let Some(class) = class(&layout) else {
            return unsafe { System.dealloc(piece, layout) };
        };
        let lists = unsafe { &mut *self.0.get() };
        unsafe { piece.cast::<*mut u8>().write(lists.free[class]) };
        lists.free[class] = piece;
    }

    #[inline]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(&layout), class(&wanted)) {
            (None, None) => return unsafe { System.realloc(piece, layout, size) },
            (old, new) if old == new => return piece,
            _ => {}
        }
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            unsafe {
                ptr::copy_nonoverlapping(piece, moved, layout.size().min(size));
                self.dealloc(piece, layout);
            }
        }
        moved
    }
}

impl Lists {
    #[cold]
    fn carve(&mut self, class: usize) -> *mut u8 {
        let size = bytes(class);
        let mut at = self.next.next_multiple_of(size);
        if self.next == 0 || at + size > self.end {
            // The rest of the chunk before is given up: less than one piece of this class.
            // SAFETY: neither the size nor the alignment is zero, and the alignment is a power of two.
            let chunk = unsafe { System.alloc(Layout::from_size_align_unchecked(CHUNK, LARGEST)) };
            if chunk.is_null() {
                return chunk;
            }
            at = chunk as usize;
            self.end = at + CHUNK;
        }
        self.next = at + size;
        at as *mut u8
    }
}
