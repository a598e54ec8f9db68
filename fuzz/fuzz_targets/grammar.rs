#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("grammar"), |data: &[u8]| vivavoce_fuzz::run("grammar", data));
