#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = sidegate_fuzz::answer::run(data);
});
