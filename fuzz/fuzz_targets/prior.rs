#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("prior"), |data: &[u8]| vivavoce_fuzz::run("prior", data));
