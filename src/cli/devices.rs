//! `vivavoce devices`.

use std::io::Write;

use super::args::DevicesArguments;

#[cfg(feature = "mic")]
pub fn run(arguments: &DevicesArguments) -> anyhow::Result<()> {
    let devices = vivavoce::audio::microphone::devices()?;
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
        let format = match device.default_rate_hz {
            0 => "cannot be opened".to_owned(),
            rate => format!("{rate} Hz ({low}..{high}), {} channels", device.channels),
        };
        let (index, name, id) = (device.index, device.name, device.id);
        writeln!(out, "{mark}{index:3}  {name}  [{id}]  {format}")?;
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
