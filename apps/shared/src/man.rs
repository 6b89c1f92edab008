//! Man pages: what clap knows of a command, and its long help with the lists that are in it.

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

/// What long help calls a part, and man pages do.
const SECTIONS: [(&str, &str); 2] = [("Examples:", "EXAMPLES"), ("Exit codes:", "EXIT STATUS")];
/// Where names are longer, the texts of a list are below them, not beside them.
const WIDEST: usize = 30;
/// How far to the right they are there.
const BELOW: usize = 4;

/// Words are not hyphenated and lines not stretched: most are to be typed.
const UNBROKEN: &[u8] = b".nh\n.ad l\n";

/// There is no such command.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no command `{0}`")]
pub struct NoCommand(String);

/// The man page of a program, or of the command `name` of it.
///
/// The text after the options is read as it is laid out for terminals: what begins with two spaces is
/// an item, which has its text behind two more or on the lines below, further to the right. Anything
/// else is prose. `Examples:` and `Exit codes:` begin sections of their own.
///
/// # Errors
///
/// If there is no command with that name.
pub fn man(mut program: Command, name: Option<&str>) -> Result<Vec<u8>, NoCommand> {
    program.build();
    let source = format!("{} {}", program.get_name(), program.get_version().unwrap_or_default());
    let command = match name {
        None => program,
        Some(name) => {
            program.find_subcommand(name).cloned().ok_or_else(|| NoCommand(name.into()))?
        }
    };
    let help = command.get_after_long_help().or_else(|| command.get_after_help());
    let rest = rest(&help.map(ToString::to_string).unwrap_or_default());
    let has_commands = command.has_subcommands();
    let man = Man::new(command).source(source);
    let mut page = Vec::new();
    let mut render = || {
        man.render_title(&mut page)?;
        page.extend_from_slice(UNBROKEN);
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        if has_commands {
            man.render_subcommands_section(&mut page)?;
        }
        rest.to_writer(&mut page)
    };
    let _ = render(); // There is room in a vector.
    Ok(page)
}

/// What comes after the options.
fn rest(help: &str) -> Roff {
    let mut roff = Roff::new();
    let mut section = "";
    for paragraph in help.split("\n\n").filter(|text| !text.is_empty()) {
        let (first, below) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let known = SECTIONS.iter().find(|(heading, _)| *heading == first);
        let (title, text) = match known {
            Some((_, title)) => (*title, below),
            None if section.is_empty() => ("NOTES", paragraph),
            None => (section, paragraph),
        };
        if title == section {
            roff.control("PP", []);
        } else {
            roff.control("SH", [title]);
            section = title;
        }
        let (prose, list): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| !line.starts_with(' '));
        if !prose.is_empty() {
            roff.text([roman(prose.join(" "))]);
        }
        items(&mut roff, &list);
    }
    roff
}

/// A list without empty lines between the items.
fn items(roff: &mut Roff, lines: &[&str]) {
    let mut items: Vec<(&str, String)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("  "), items.last_mut()) {
            (Some(item), _) if !item.starts_with(' ') => {
                let (name, text) = item.split_once("  ").unwrap_or((item, ""));
                items.push((name, text.trim_start().into()));
            }
            (_, Some((_, text))) => {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(line.trim_start());
            }
            (_, None) => {}
        }
    }
    let width = items.iter().map(|(name, _)| name.chars().count() + 2).max().unwrap_or(0);
    let width = if width > WIDEST { BELOW } else { width }.to_string();
    for (n, (name, text)) in items.iter().enumerate() {
        if n == 1 {
            roff.control("PD", ["0"]);
        }
        roff.control("TP", [width.as_str()]);
        if text.is_empty() {
            // However long: it is to be copied.
            roff.control("nf", []).text([bold(*name)]).control("fi", []);
        } else {
            roff.text([bold(*name)]).text([roman(text.as_str())]);
        }
    }
    if items.len() > 1 {
        roff.control("PD", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
Prose that is
filled:
  one    text that
         goes on
  three  text

More prose.

Examples:
  do --this
      so that it is done
  do that

`other` does more.

Exit codes:
  0    done
  130  interrupted";

    fn program() -> Command {
        let call = Command::new("call").about("Calls").after_help("  a  b");
        Command::new("do").about("Does").version("1").after_help(HELP).subcommand(call)
    }

    fn page(name: Option<&str>) -> String {
        String::from_utf8(man(program(), name).unwrap()).unwrap()
    }

    #[test]
    fn lists_stay_lists() {
        let page = page(None);
        let at = page.find(".SH NOTES").unwrap();
        assert_eq!(
            page.get(at..).unwrap().replace(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n", ""),
            r#"
.SH NOTES
Prose that is filled:
.TP 7
\fBone\fR
text that goes on
.PD 0
.TP 7
\fBthree\fR
text
.PD
.PP
More prose.
.SH EXAMPLES
.TP 11
\fBdo \-\-this\fR
so that it is done
.PD 0
.TP 11
.nf
\fBdo that\fR
.fi
.PD
.PP
`other` does more.
.SH "EXIT STATUS"
.TP 5
\fB0\fR
done
.PD 0
.TP 5
\fB130\fR
interrupted
.PD
"#
            .trim_start()
        );
    }

    #[test]
    fn commands_have_pages() {
        let page = page(Some("call"));
        assert!(
            page.contains(".TH do-call 1  \"do 1\"") && page.contains(".SH NOTES\n.TP 3\n"),
            "{page}"
        );
        assert!(!page.contains("SUBCOMMANDS"), "{page}");
        let none = man(program(), Some("cal")).unwrap_err();
        assert_eq!(none.to_string(), "there is no command `cal`");
    }
}
