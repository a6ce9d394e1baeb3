(module
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
    (func $not_an_order
        unreachable)
    (func (export "transform-columns") (param i32) (result i32)
        call $not_an_order
        (i32.const 16)))
