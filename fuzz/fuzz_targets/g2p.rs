#![no_main]

libfuzzer_sys::fuzz_target!(init: vivavoce_fuzz::begin("g2p"), |data: &[u8]| vivavoce_fuzz::run("g2p", data));
