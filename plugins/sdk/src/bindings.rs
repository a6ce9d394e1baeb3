//! The bindings that `wit-bindgen` generates from `wit/`: the world `column-transformer` and the
//! capabilities that a route may grant. An import that a plugin does not call does not end up in
//! its module, so a plugin asks for nothing that it does not use.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package sandbar:sdk;

        world guest {
            include sandbar:transform/column-transformer@0.1.0;
            import sandbar:transform/clock@0.1.0;
            import sandbar:transform/random@0.1.0;
            import sandbar:transform/lookup@0.1.0;
            import sandbar:transform/http@0.1.0;
        }
    ",
    world: "sandbar:sdk/guest",
    pub_export_macro: true,
    export_macro_name: "export_guest",
    default_bindings_module: "sandbar_sdk::bindings",
    generate_all,
});
