//! Which devices there are.

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{Device, ErrorKind};
use serde::Serialize;

use crate::error::{Error, Result};

/// An input device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// Its number, for `--device`.
    pub index: usize,
    /// Its name, for `--device`.
    pub name: String,
    /// Name that the system finds it by.
    pub id: String,
    /// The part of the system that it belongs to.
    pub host: String,
    /// Whether it is used where none is asked for.
    pub default: bool,
    /// Samples a second that it records at; 0 if it cannot be opened.
    pub default_rate_hz: u32,
    /// Lowest and highest rate it is capable of.
    pub rates_hz: (u32, u32),
    /// Channels it records.
    pub channels: u16,
}

/// The error's text, with the fix where one is known.
pub(super) fn explain(error: &cpal::Error) -> String {
    let fix = match error.kind() {
        ErrorKind::PermissionDenied => {
            "; allow microphones in the system's settings (on Linux: join the group audio)"
        }
        ErrorKind::DeviceBusy => "; another program uses it",
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => {
            "; plug it in, start the sound server, or choose one of `vivavoce devices`"
        }
        _ => "",
    };
    let text = error.to_string();
    format!("{}{fix}", text.trim_end_matches('.'))
}

fn id(device: &Device) -> String {
    device.id().map(|id| id.to_string()).unwrap_or_default()
}

fn name(device: &Device) -> String {
    device.description().map(|d| d.name().to_owned()).unwrap_or_default()
}

fn inputs() -> Result<Vec<Device>> {
    let failed =
        |error: cpal::Error| Error::Device { name: "any device".into(), reason: explain(&error) };
    Ok(cpal::default_host().input_devices().map_err(failed)?.collect())
}

/// All input devices.
///
/// # Errors
/// [`Error::Device`] if the system has no sound at all.
pub fn devices() -> Result<Vec<DeviceInfo>> {
    let host = cpal::default_host();
    let default = host.default_input_device().map(|device| id(&device));
    let infos = inputs()?.into_iter().enumerate().map(|(index, device)| {
        let config = device.default_input_config().ok();
        let ranges: Vec<_> =
            device.supported_input_configs().map(Iterator::collect).unwrap_or_default();
        let low = ranges.iter().map(cpal::SupportedStreamConfigRange::min_sample_rate).min();
        let high = ranges.iter().map(cpal::SupportedStreamConfigRange::max_sample_rate).max();
        let id = id(&device);
        DeviceInfo {
            index,
            name: name(&device),
            host: host.id().to_string(),
            default: default.as_ref() == Some(&id),
            id,
            default_rate_hz: config.as_ref().map_or(0, cpal::SupportedStreamConfig::sample_rate),
            rates_hz: (low.unwrap_or(0), high.unwrap_or(0)),
            channels: config.as_ref().map_or(0, cpal::SupportedStreamConfig::channels),
        }
    });
    Ok(infos.collect())
}

/// The device that `wanted` means, with a name for messages: its number, its id, its name, or a part of the name that only one has.
pub(super) fn find(wanted: Option<&str>) -> Result<(Device, String)> {
    let Some(wanted) = wanted else {
        let device = cpal::default_host().default_input_device().ok_or_else(|| Error::Device {
            name: "the default microphone".into(),
            reason: "there is none; plug one in, or pipe audio into `vivavoce listen -`".into(),
        })?;
        let name = name(&device);
        let name = if name.is_empty() { "the default microphone".into() } else { name };
        return Ok((device, name));
    };
    let all = inputs()?;
    let names: Vec<(String, String)> = all.iter().map(|d| (name(d), id(d))).collect();
    let index = choose(wanted, &names)
        .map_err(|reason| Error::Device { name: format!("{wanted:?}"), reason })?;
    all.into_iter()
        .nth(index)
        .map(|device| (device, names[index].0.clone()))
        .ok_or_else(|| Error::Device { name: format!("{wanted:?}"), reason: "it is gone".into() })
}

/// Which of the (name, id) `wanted` means.
fn choose(wanted: &str, names: &[(String, String)]) -> std::result::Result<usize, String> {
    if let Ok(index) = wanted.parse::<usize>() {
        if index < names.len() {
            return Ok(index);
        }
        return Err(format!("there are {} devices; see `vivavoce devices`", names.len()));
    }
    let id_alone = |id: &str| id.split_once(':').map_or(id.to_owned(), |(_, id)| id.to_owned());
    let exact = names
        .iter()
        .position(|(name, id)| name == wanted || id == wanted || id_alone(id) == wanted);
    if let Some(index) = exact {
        return Ok(index);
    }
    let part = wanted.to_lowercase();
    let alike: Vec<usize> =
        (0..names.len()).filter(|i| names[*i].0.to_lowercase().contains(&part)).collect();
    match alike[..] {
        [index] => Ok(index),
        [] => Err("no device is called so; see `vivavoce devices`".into()),
        _ => Err(format!("{} devices are called so; give the number", alike.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_number_name_id_or_part() {
        let names =
            [("Pulse Server", "alsa:pulse"), ("USB Mic", "alsa:hw:1"), ("USB Cam", "alsa:hw:2")]
                .map(|(name, id)| (name.to_owned(), id.to_owned()));
        for (wanted, expected) in [
            ("1", Ok(1)),
            ("USB Cam", Ok(2)),
            ("alsa:hw:1", Ok(1)),
            ("pulse", Ok(0)),
            ("hw:2", Ok(2)),
            ("mic", Ok(1)),
        ] {
            assert_eq!(choose(wanted, &names), expected, "{wanted}");
        }
        for (wanted, reason) in [("7", "3 devices"), ("usb", "2 devices"), ("piano", "no device")] {
            assert!(choose(wanted, &names).unwrap_err().contains(reason), "{wanted}");
        }
    }
}
