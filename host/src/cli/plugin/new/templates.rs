//! The files of the templates, embedded. Listed one by one, so that the compiler knows when one
//! changes; a test finds those that are not listed.
//!
//! Some have other names in the repository than in a project: Cargo takes any folder with a
//! `Cargo.toml` for a package, and git obeys any `.gitignore`. Those that are the same in the example
//! of the language (`examples/languages`) are taken from there.

/// A language that `--lang` offers.
pub(super) struct Language {
    pub name: &'static str,
    /// What else it is called.
    pub short: &'static str,
    /// Path in the project, content.
    pub files: &'static [(&'static str, &'static [u8])],
}

macro_rules! language {
    ($name:literal, $short:literal, [$($path:literal = $file:literal),* $(,)?]) => {
        Language {
            name: $name,
            short: $short,
            files: &[
                ("wit/transform.wit", include_bytes!("../../../../../wit/transform.wit")),
                ("events.json", include_bytes!("../templates/shared/events.json")),
                ("vectors.json", include_bytes!("../templates/shared/vectors.json")),
                $(($path, include_bytes!(concat!("../templates/", $name, "/", $file)))),*
            ],
        }
    };
}

pub(super) const LANGUAGES: &[Language] = &[
    language!(
        "rust",
        "rs",
        [
            "Cargo.toml" = "Cargo.toml.in",
            "Cargo.lock" = "Cargo.lock.in",
            ".cargo/config.toml" = "cargo-config.toml",
            "src/lib.rs" = "src/lib.rs",
            "src/invoice.rs" = "src/invoice.rs",
            "sandbar-plugin.toml" = "sandbar-plugin.toml",
            "README.md" = "README.md",
            ".gitignore" = "gitignore",
        ]
    ),
    language!(
        "javascript",
        "js",
        [
            "package.json" = "package.json",
            "package-lock.json" = "package-lock.json",
            "src/plugin.js" = "src/plugin.js",
            "src/invoice.js" = "src/invoice.js",
            "src/utf8.js" = "src/utf8.js",
            "test/invoice.test.js" = "test/invoice.test.js",
            "sandbar-plugin.toml" = "sandbar-plugin.toml",
            "README.md" = "README.md",
            ".gitignore" = "gitignore",
        ]
    ),
    language!(
        "typescript",
        "ts",
        [
            "package.json" = "package.json",
            "package-lock.json" = "package-lock.json",
            "tsconfig.json" = "tsconfig.json",
            "src/plugin.ts" = "src/plugin.ts",
            "src/invoice.ts" = "src/invoice.ts",
            "src/sandbar.ts" = "src/sandbar.ts",
            "src/utf8.ts" = "src/utf8.ts",
            "test/invoice.test.js" = "test/invoice.test.js",
            "sandbar-plugin.toml" = "sandbar-plugin.toml",
            "README.md" = "README.md",
            ".gitignore" = "gitignore",
        ]
    ),
    language!(
        "python",
        "py",
        [
            "requirements.txt" = "requirements.txt",
            "src/plugin.py" = "src/plugin.py",
            "src/invoice.py" = "src/invoice.py",
            "tests/test_invoice.py" = "tests/test_invoice.py",
            "sandbar-plugin.toml" = "sandbar-plugin.toml",
            "README.md" = "README.md",
            ".gitignore" = "gitignore",
        ]
    ),
    language!(
        "go",
        "golang",
        [
            "go.mod" = "go.mod.in",
            "plugin.go" = "plugin.go",
            "invoice/invoice.go" = "invoice/invoice.go",
            "invoice/invoice_test.go" = "invoice/invoice_test.go",
            "sandbar/abi.go" = "../../../../../../examples/languages/go/sandbar/abi.go",
            "sandbar/sandbar.go" = "../../../../../../examples/languages/go/sandbar/sandbar.go",
            "sandbar-plugin.toml" = "sandbar-plugin.toml",
            "README.md" = "README.md",
            ".gitignore" = "gitignore",
        ]
    ),
    language!(
        "c",
        "c11",
        [
            "Makefile" = "Makefile",
            "src/plugin.c" = "src/plugin.c",
            "src/invoice.c" = "src/invoice.c",
            "src/invoice.h" = "src/invoice.h",
            "src/json.c" = "../../../../../../examples/languages/c/src/json.c",
            "src/json.h" = "../../../../../../examples/languages/c/src/json.h",
            "bindings/transformer.c" =
                "../../../../../../examples/languages/c/bindings/transformer.c",
            "bindings/transformer.h" =
                "../../../../../../examples/languages/c/bindings/transformer.h",
            "bindings/transformer_component_type.o" =
                "../../../../../../examples/languages/c/bindings/transformer_component_type.o",
            "test/invoice_test.c" = "test/invoice_test.c",
            "sandbar-plugin.toml" = "sandbar-plugin.toml",
            "README.md" = "README.md",
            ".gitignore" = "gitignore",
        ]
    ),
    language!(
        "assemblyscript",
        "as",
        [
            "package.json" = "package.json",
            "package-lock.json" = "package-lock.json",
            "asconfig.json" = "../../../../../../examples/languages/assemblyscript/asconfig.json",
            "assembly/plugin.ts" = "assembly/plugin.ts",
            "assembly/invoice.ts" = "assembly/invoice.ts",
            "assembly/sandbar.ts" =
                "../../../../../../examples/languages/assemblyscript/assembly/sandbar.ts",
            "assembly/json.ts" =
                "../../../../../../examples/languages/assemblyscript/assembly/json.ts",
            "test/asconfig.json" =
                "../../../../../../examples/languages/assemblyscript/test/asconfig.json",
            "test/entry.ts" = "test/entry.ts",
            "test/invoice.test.js" = "test/invoice.test.js",
            "sandbar-plugin.toml" = "sandbar-plugin.toml",
            "README.md" = "README.md",
            ".gitignore" = "gitignore",
        ]
    ),
];
