//! Triangular filters on the mel scale `1127 ln(1 + f/700)`.

use crate::config::FeatureConfig;

/// One filter: the bins it covers and their weights.
#[derive(Debug, Clone)]
struct Filter {
    first_bin: usize,
    weights: Vec<f32>,
}

/// Filters that turn a power spectrum `[fft_size / 2 + 1]` into mel energies `[num_mel_bins]`.
#[derive(Debug, Clone)]
pub struct MelBank {
    filters: Vec<Filter>,
}

impl MelBank {
    /// Filters for `config`: peak 1, slopes linear in mel, no area normalisation.
    pub fn new(config: &FeatureConfig) -> Self {
        let mel = |hz: f64| 1127.0 * (hz / 700.0).ln_1p();
        let low = mel(f64::from(config.low_hz));
        let high = mel(f64::from(config.high_hz));
        let step = (high - low) / (config.num_mel_bins + 1) as f64;
        let bin_hz = f64::from(config.sample_rate_hz) / config.fft_size as f64;
        let filters = (0..config.num_mel_bins)
            .map(|m| {
                let left = low + step * m as f64;
                let weights: Vec<(usize, f32)> = (0..=config.fft_size / 2)
                    .map(|bin| {
                        let rise = (mel(bin as f64 * bin_hz) - left) / step;
                        (bin, rise.min(2.0 - rise).max(0.0) as f32)
                    })
                    .filter(|&(_, weight)| weight > 0.0)
                    .collect();
                let first_bin = weights.first().map_or(0, |&(bin, _)| bin);
                Filter { first_bin, weights: weights.into_iter().map(|(_, w)| w).collect() }
            })
            .collect();
        Self { filters }
    }

    /// Number of filters.
    pub fn num_bins(&self) -> usize {
        self.filters.len()
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        let values = |f: &Filter| f.weights.capacity() * size_of::<f32>() + size_of::<Filter>();
        self.filters.iter().map(values).sum()
    }

    /// Energies `[num_bins]` of a power spectrum `[fft_size / 2 + 1]`.
    ///
    /// # Panics
    /// If `power` is shorter than the bank was made for.
    pub fn energies_into(&self, power: &[f32], energies: &mut [f32]) {
        for (filter, energy) in self.filters.iter().zip(energies) {
            let bins = &power[filter.first_bin..filter.first_bin + filter.weights.len()];
            *energy = bins.iter().zip(&filter.weights).map(|(p, w)| p * w).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_filters_sum_to_one_between_their_peaks() {
        let config = FeatureConfig {
            sample_rate_hz: 16_000,
            frame_length_ms: 25.0,
            frame_shift_ms: 10.0,
            num_mel_bins: 20,
            fft_size: 512,
            low_hz: 20.0,
            high_hz: 7600.0,
            log_floor: 1e-7,
        };
        let bank = MelBank::new(&config);
        let mut energies = vec![0.0; 20];
        for bin in 20..200 {
            let mut power = vec![0.0; 257];
            power[bin] = 1.0;
            bank.energies_into(&power, &mut energies);
            assert!((energies.iter().sum::<f32>() - 1.0).abs() < 1e-5, "bin {bin}");
        }
    }
}
