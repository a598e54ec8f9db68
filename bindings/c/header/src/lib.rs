//! Whether `../include/vivavoce.h` is what cbindgen makes of the sources. `VIVAVOCE_WRITE_HEADER=1 cargo test -p vivavoce-c-header` writes
//! it anew.

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_header_is_of_these_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
        let sources =
            ["lib", "recognizer", "session"].map(|name| root.join(format!("src/{name}.rs")));
        let builder = sources
            .iter()
            .fold(cbindgen::Builder::new().with_config(config), cbindgen::Builder::with_src);
        let mut made = Vec::new();
        builder.generate().unwrap().write(&mut made);
        let made = String::from_utf8(made).unwrap();
        let path = root.join("include/vivavoce.h");
        if std::env::var_os("VIVAVOCE_WRITE_HEADER").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap();
        assert_eq!(found, made, "{}: see the head of this file", path.display());
    }
}
