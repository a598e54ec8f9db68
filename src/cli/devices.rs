//! `vivavoce devices`.

use std::io::Write;

use super::args::DevicesArguments;

#[cfg(feature = "mic")]
pub fn run(arguments: &DevicesArguments) -> anyhow::Result<()> {
    let mut devices = vivavoce::audio::microphone::devices()?;
    // What cannot be opened is of no use to anybody.
    devices.retain(|device| device.default_rate_hz > 0);
    let mut out = std::io::stdout().lock();
    if arguments.json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&devices)?)?);
    }
    if devices.is_empty() {
        anyhow::bail!("no microphone: plug one in, or pipe audio into `vivavoce listen -`");
    }
    for device in devices {
        let mark = if device.default { '*' } else { ' ' };
        let (low, high) = device.rates_hz;
        let (index, name, id) = (device.index, device.name, device.id);
        let (rate, channels) = (device.default_rate_hz, device.channels);
        writeln!(
            out,
            "{mark}{index:3}  {name}  [{id}]  {rate} Hz ({low}..{high}), {channels} channels"
        )?;
    }
    Ok(())
}

#[cfg(not(feature = "mic"))]
pub fn run(arguments: &DevicesArguments) -> anyhow::Result<()> {
    if arguments.json {
        writeln!(std::io::stdout().lock(), "[]")?;
    }
    anyhow::bail!("{}", super::NO_MICROPHONE)
}
