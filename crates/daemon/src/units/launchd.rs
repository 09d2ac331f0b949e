//! An agent for the launchd of a user: `~/Library/LaunchAgents/polywire.gateway.plist`.

use std::fmt::Write as _;
use std::path::Path;

use super::{LAUNCHD_LABEL, ServiceSpec};

/// The property list of the agent. The gateway writes its log to a file itself, because launchd keeps none and would let one grow without end.
pub fn launchd_agent(spec: &ServiceSpec, log_file: &Path) -> String {
    let program = spec.program.display().to_string();
    let log_file = log_file.display().to_string();
    let words = [program.as_str(), "serve", "--log-file", &log_file].into_iter();
    let mut arguments = String::new();
    for argument in words.chain(spec.arguments.iter().map(String::as_str)) {
        // Writing to a string cannot fail, here and below.
        writeln!(arguments, "\t\t<string>{}</string>", escaped(argument)).ok();
    }
    let mut environment = String::new();
    for (name, value) in &spec.environment {
        let (name, value) = (escaped(name), escaped(value));
        writeln!(
            environment,
            "\t\t<key>{name}</key>\n\t\t<string>{value}</string>"
        )
        .ok();
    }
    let stop = spec.stop_timeout();
    format!(
        "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<plist version=\"1.0\">
<dict>
\t<key>Label</key>
\t<string>{LAUNCHD_LABEL}</string>
\t<key>ProgramArguments</key>
\t<array>
{arguments}\t</array>
\t<key>EnvironmentVariables</key>
\t<dict>
{environment}\t</dict>
\t<key>RunAtLoad</key>
\t<true/>
\t<key>KeepAlive</key>
\t<dict>
\t\t<key>SuccessfulExit</key>
\t\t<false/>
\t</dict>
\t<key>ThrottleInterval</key>
\t<integer>10</integer>
\t<key>ExitTimeOut</key>
\t<integer>{stop}</integer>
\t<key>ProcessType</key>
\t<string>Interactive</string>
\t<key>Umask</key>
\t<integer>63</integer>
</dict>
</plist>
"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::spec;
    use super::*;

    #[test]
    fn an_agent() {
        insta::assert_snapshot!(launchd_agent(
            &spec(),
            Path::new("/Users/me/.local/state/polywire/gateway.log")
        ));
    }
}
