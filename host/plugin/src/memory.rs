//! Where a guest's memory lies in the hub, and giving it back.
//!
//! wasmtime shows the memory of a component's instance to nobody but types that are lowered into it. So
//! what the guest is configured with is of such a type.

use std::{
    mem::MaybeUninit,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use wasmtime::{
    Result,
    component::{
        __internal::{InterfaceType, LowerContext},
        Lower,
    },
};

use crate::abi::known_as;

/// How much is given back at a time, in bytes: it takes the kernel some 30 µs.
pub(crate) const PORTION: usize = 512 << 10;

/// The memory of one instance, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory(usize);

impl Memory {
    /// Gives these bytes of it back to the system. They read as at the beginning then: not for an instance that
    /// is called again.
    #[allow(unsafe_code)]
    pub(crate) fn give_back(self, bytes: Range<usize>) {
        #[cfg(target_os = "linux")]
        for from in bytes.clone().step_by(PORTION) {
            let (at, length) = (self.0 + from, PORTION.min(bytes.end - from));
            // SAFETY: the address and the length are of whole pages in the place that the pool has for one memory, which
            // is as large as the most that an instance may have. Whoever calls has the store and calls no
            // guest in it again; the pool does the same with the same bytes when the store is dropped.
            let given = unsafe {
                rustix::mm::madvise(at as *mut _, length, rustix::mm::Advice::LinuxDontNeed)
            };
            if given.is_err() {
                // The pool will tell.
                return;
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }
}

/// The text that a guest is configured with. It finds the guest's memory.
#[derive(Debug)]
pub(crate) struct Config<'a> {
    text: &'a str,
    /// 0 until it is known.
    memory: AtomicUsize,
}

impl<'a> Config<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            memory: AtomicUsize::new(0),
        }
    }

    /// That of the guest, once it was handed to one.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let address = self.memory.load(Ordering::Relaxed);
        (address != 0).then_some(Memory(address))
    }

    fn find<T>(&self, cx: &mut LowerContext<'_, T>) {
        let address = cx.as_slice_mut().as_ptr().addr();
        self.memory.store(address, Ordering::Relaxed);
    }
}

known_as!(Config<'_>, str);

// SAFETY: it is lowered as the text.
#[allow(unsafe_code)]
unsafe impl Lower for Config<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        self.find(cx);
        self.text.linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        self.find(cx);
        self.text.linear_lower_to_memory(cx, ty, offset)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// `configure` answers with what lies at its second page, and puts a 7 there.
    const COMPONENT: &str = r#"(component
        (core module $m
            (memory (export "memory") 3)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
            (func (export "configure") (param i32 i32) (result i32)
                (i32.load (i32.const 65536))
                (i32.store (i32.const 65536) (i32.const 7))))
        (core instance $i (instantiate $m))
        (func (export "configure") (param "config" string) (result u32)
            (canon lift (core func $i "configure") (memory $i "memory") (realloc (func $i "realloc")))))"#;

    #[test]
    fn the_memory_is_found_and_reads_as_at_the_beginning_when_it_was_given_back() {
        let engine = wasmtime::Engine::default();
        let bytes = wat::parse_str(COMPONENT).unwrap();
        let component = wasmtime::component::Component::new(&engine, bytes).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = wasmtime::component::Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap();
        let config = Config::new("{}");
        let mut configure = || {
            let configure =
                instance.get_typed_func::<(&Config<'_>,), (u32,)>(&mut store, "configure");
            configure.unwrap().call(&mut store, (&config,)).unwrap().0
        };
        assert_eq!(config.memory(), None);
        assert_eq!((configure(), configure()), (0, 7));
        let memory = config.memory().unwrap();
        memory.give_back(128 << 10..192 << 10);
        assert_eq!(configure(), 7, "another page");
        memory.give_back(64 << 10..192 << 10);
        assert_eq!(configure(), 0);
    }
}
