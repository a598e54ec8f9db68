//! AMX: sixteen rows of activations times sixteen outputs, 64 inputs at a time, in registers of 1 kB ("tiles" in Intel's manuals).
//!
//! The instructions have no stable intrinsics, so they stand here as assembly. Linux gives their registers to a process that asks for
//! them (Documentation/arch/x86/xstate.rst of its source).

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::super::LANES;
use super::{GROUP, Int8Tile, MAX_ROWS};

/// Inputs that are multiplied at once, the bytes of a row of a register.
const STEP: usize = 64;
/// With fewer rows VNNI is as fast.
const MIN_BATCH: usize = 4;

/// Proof that the machine has the instructions and the process its registers.
#[derive(Debug, Clone, Copy)]
pub(in crate::nn) struct Amx(());

/// The registers, set for products of so many rows, until it is dropped.
#[derive(Debug)]
pub(in crate::nn) struct Registers {
    rows: usize,
    /// They belong to a thread.
    thread: PhantomData<*const ()>,
}

impl Amx {
    pub fn detected() -> Option<Self> {
        static DETECTED: OnceLock<bool> = OnceLock::new();
        DETECTED.get_or_init(|| has_instructions() && may_use_registers()).then_some(Self(()))
    }

    /// Whether products of `batch` rows of `inputs` activations are quicker so.
    pub fn suits(batch: usize, inputs: usize) -> bool {
        batch >= MIN_BATCH && inputs.is_multiple_of(STEP)
    }

    /// Sets the registers for tiles that share `batch` rows evenly.
    #[expect(clippy::unused_self, reason = "the proof that it may")]
    #[expect(unsafe_code, reason = "an instruction without intrinsic")]
    pub fn set(self, batch: usize) -> Registers {
        let rows = batch.div_ceil(batch.div_ceil(MAX_ROWS).max(1)).max(1);
        let mut settings = Settings { palette: 1, ..Settings::default() };
        for register in 0..8 {
            settings.bytes_a_row[register] = STEP as u16;
            // Sums in 0 to 3, activations in 4, weights in 5 and 6.
            settings.rows[register] = if register < 5 { rows as u8 } else { (STEP / GROUP) as u8 };
        }
        // SAFETY: `Amx` exists only where the instructions and the registers are there; no Rust code keeps anything in those.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const settings, options(nostack, readonly, preserves_flags));
        }
        Registers { rows, thread: PhantomData }
    }
}

impl Drop for Registers {
    #[expect(unsafe_code, reason = "an instruction without intrinsic")]
    fn drop(&mut self) {
        // SAFETY: as in `Amx::set`.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// What `ldtilecfg` reads.
#[derive(Default)]
#[repr(C, align(64))]
struct Settings {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_a_row: [u16; 16],
    rows: [u8; 16],
}

fn has_instructions() -> bool {
    const TILES_AND_INT8: u32 = 1 << 24 | 1 << 25;
    let most = __cpuid_count(0, 0).eax;
    cfg!(target_os = "linux")
        && most >= 7
        && __cpuid_count(7, 0).edx & TILES_AND_INT8 == TILES_AND_INT8
}

/// Asks Linux for the registers; it says no if it is older than 5.16 or must not give them.
#[expect(unsafe_code, reason = "a system call")]
fn may_use_registers() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let answer: i64;
    // SAFETY: the call takes two numbers and touches no memory of the process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

impl Registers {
    /// Rows that a tile has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// As [`TileFn`](super::TileFn), for a tile of [`rows`](Self::rows) rows.
    #[expect(unsafe_code, reason = "checked entry to the vector code")]
    pub fn tile(&self, tile: &Int8Tile<'_>, sums: &mut [i32]) {
        tile.check(sums);
        assert!(tile.rows == self.rows && tile.inputs.is_multiple_of(STEP));
        for sums in sums.chunks_exact_mut(tile.width).take(tile.rows) {
            sums.copy_from_slice(tile.offsets);
        }
        // SAFETY: `self` exists only where the registers are set for these rows, and `check` has proved that the rows of activations,
        // the panel and the rows of sums lie inside their slices.
        unsafe {
            match tile.width / LANES {
                1 => products::<1>(tile, sums),
                2 => products::<2>(tile, sums),
                3 => products::<3>(tile, sums),
                _ => products::<4>(tile, sums),
            }
        }
    }
}

/// Adds to `sums` the products.
///
/// # Safety
/// Needs registers that are set for the rows of the tile, which has GROUPS * LANES outputs, a multiple of STEP inputs, at least one, and has
/// passed its check.
#[expect(unsafe_code, reason = "instructions without intrinsics")]
unsafe fn products<const GROUPS: usize>(tile: &Int8Tile<'_>, sums: &mut [i32]) {
    let width = GROUPS * LANES;
    let (x, w, to) = (tile.x.as_ptr(), tile.panel.as_ptr(), sums.as_mut_ptr());
    let (weights_row, sums_row) = (width * GROUP, width * size_of::<i32>());
    // SAFETY: the caller's promise covers all that is read and written.
    unsafe {
        asm!(
            "tileloadd tmm0, [{to} + {sums_row}]",
            ".if {groups} > 1",
            "tileloadd tmm1, [{to} + {sums_row} + 64]",
            ".endif",
            ".if {groups} > 2",
            "tileloadd tmm2, [{to} + {sums_row} + 128]",
            ".endif",
            ".if {groups} > 3",
            "tileloadd tmm3, [{to} + {sums_row} + 192]",
            ".endif",
            "2:",
            "tileloadd tmm4, [{x} + {x_row}]",
            "tileloadd tmm5, [{w} + {weights_row}]",
            ".if {groups} > 1",
            "tileloadd tmm6, [{w} + {weights_row} + 64]",
            ".endif",
            "tdpbusd tmm0, tmm4, tmm5",
            ".if {groups} > 2",
            "tileloadd tmm5, [{w} + {weights_row} + 128]",
            ".endif",
            ".if {groups} > 1",
            "tdpbusd tmm1, tmm4, tmm6",
            ".endif",
            ".if {groups} > 3",
            "tileloadd tmm6, [{w} + {weights_row} + 192]",
            ".endif",
            ".if {groups} > 2",
            "tdpbusd tmm2, tmm4, tmm5",
            ".endif",
            ".if {groups} > 3",
            "tdpbusd tmm3, tmm4, tmm6",
            ".endif",
            "add {x}, 64",
            "add {w}, {step}",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{to} + {sums_row}], tmm0",
            ".if {groups} > 1",
            "tilestored [{to} + {sums_row} + 64], tmm1",
            ".endif",
            ".if {groups} > 2",
            "tilestored [{to} + {sums_row} + 128], tmm2",
            ".endif",
            ".if {groups} > 3",
            "tilestored [{to} + {sums_row} + 192], tmm3",
            ".endif",
            groups = const GROUPS,
            x = inout(reg) x => _,
            w = inout(reg) w => _,
            to = in(reg) to,
            x_row = in(reg) tile.inputs,
            weights_row = in(reg) weights_row,
            sums_row = in(reg) sums_row,
            step = in(reg) STEP * width,
            steps = inout(reg) tile.inputs / STEP => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _,
            options(nostack),
        );
    }
}
