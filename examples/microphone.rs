//! Words as they are spoken into the default microphone: `cargo run --release --features mic --example microphone`. Ctrl-C ends it.
#![expect(clippy::print_stdout, reason = "results")]

use vivavoce::audio::microphone::MicrophoneSource;
use vivavoce::pipeline::{Capture, Pace, PipelineOptions};
use vivavoce::transcript::Event;
use vivavoce::{EndpointOptions, Recognizer, StreamOptions};

fn main() -> anyhow::Result<()> {
    let microphone = MicrophoneSource::open(std::env::args().nth(1).as_deref())?;
    eprintln!("listening to {}", microphone.name());
    // What is said while the model is being loaded waits in the queue.
    let capture = Capture::start(Box::new(microphone), Pace::Unpaced);
    let stopper = capture.stopper();
    ctrlc::set_handler(move || stopper.stop())?;
    let recognizer = Recognizer::builder().build()?;
    let stream = StreamOptions::default().endpoints(EndpointOptions::default());
    let options = PipelineOptions::default().stream(stream);
    for event in capture.transcribe(&recognizer, &options)?.events() {
        match event {
            Event::Partial(partial) => eprintln!("... {}", partial.partial),
            Event::Final(result) => println!("{}", result.text),
            Event::Overrun { lost_s } => eprintln!("{lost_s:.1} s were lost"),
            Event::Warning { message } => eprintln!("{message}"),
            Event::Error(error) => anyhow::bail!(error),
            _ => {}
        }
    }
    Ok(())
}
