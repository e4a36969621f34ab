//! `pages`: the operator's own templates, style, logo and contact. Whether a template is one is found
//! out where pages are made; here it is read, within bounds.

use std::io::Read as _;
use std::path::{Path as FilePath, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Findings;
use crate::config::nearest::did_you_mean;
use crate::config::tree::Path;
use crate::config::written::ConfigFile;
use crate::config::{PAGE_TEMPLATES, PageSettings};

/// The most bytes of a template or style.
const LARGEST_TEXT: u64 = 64 * 1024;
/// The most bytes of a logo: it stands in every page.
const LARGEST_LOGO: u64 = 32 * 1024;
/// The style of the operator's own, which comes after ours.
const STYLE: &str = "style.css";

/// `pages`.
pub(super) fn check(file: &ConfigFile, findings: &mut Findings<'_>) -> PageSettings {
    let written = file.pages.clone().unwrap_or_default();
    let here = Path::root("pages");
    if written
        .support
        .as_ref()
        .is_some_and(|text| text.trim().is_empty())
    {
        findings.fault(
            &here.key("support"),
            "nobody is named",
            "write whom to ask, or leave the key out",
        );
    }
    let mut settings = PageSettings {
        support: written.support,
        ..PageSettings::default()
    };
    let logo = written.logo.map(|logo| match &written.directory {
        Some(directory) => directory.join(logo),
        None => logo,
    });
    if let Some(directory) = &written.directory {
        settings.directory_at = findings.place(&here.key("directory"));
        read_directory(directory, logo.as_deref(), &mut settings, findings);
    }
    if let Some(logo) = logo {
        settings.logo = read_logo(&logo, findings);
    }
    settings
}

fn read_directory(
    directory: &FilePath,
    logo: Option<&FilePath>,
    settings: &mut PageSettings,
    findings: &mut Findings<'_>,
) {
    let here = Path::root("pages").key("directory");
    let entries: Result<Vec<PathBuf>, _> = std::fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths = match entries {
        Ok(paths) => paths,
        Err(error) => {
            let what = format!("the folder cannot be read ({})", error.kind());
            findings.fault(&here, what, "write the path of a folder of templates");
            return;
        }
    };
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or("?").to_owned();
        // Editors and Kubernetes put files of their own beside ours.
        if name.starts_with('.') || Some(path.as_path()) == logo {
            continue;
        }
        if name != STYLE && !PAGE_TEMPLATES.contains(&name.as_str()) {
            let mut known = PAGE_TEMPLATES.to_vec();
            known.push(STYLE);
            let remedy = did_you_mean(&name, &known)
                .unwrap_or_else(|| format!("the names are {}", known.join(", ")));
            findings.fault(&here, format!("no page is made from `{name}`"), remedy);
            continue;
        }
        let Some(bytes) = read(&path, &name, LARGEST_TEXT, &here, findings) else {
            continue;
        };
        match String::from_utf8(bytes) {
            Ok(text) if name == STYLE => settings.style = Some(text),
            Ok(text) => settings.templates.push((name, text)),
            Err(_) => findings.fault(&here, format!("`{name}` is not UTF-8"), "save it as UTF-8"),
        }
    }
}

fn read_logo(path: &FilePath, findings: &mut Findings<'_>) -> Option<String> {
    let here = Path::root("pages").key("logo");
    let bytes = read(path, "the logo", LARGEST_LOGO, &here, findings)?;
    let Some(kind) = kind_of(&bytes) else {
        findings.fault(
            &here,
            "not a picture that every browser shows",
            "name a file of SVG, PNG, JPEG, GIF or WebP",
        );
        return None;
    };
    Some(format!("data:{kind};base64,{}", STANDARD.encode(bytes)))
}

/// The media type, by what the file begins with.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Some("image/jpeg");
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        return Some("image/gif");
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let drawn = text.starts_with("<svg") || (text.starts_with("<?xml") && text.contains("<svg"));
    drawn.then_some("image/svg+xml")
}

/// The bytes of a file that has `limit` at most.
fn read(
    path: &FilePath,
    name: &str,
    limit: u64,
    here: &Path,
    findings: &mut Findings<'_>,
) -> Option<Vec<u8>> {
    findings.was_read(path.to_owned());
    let mut bytes = Vec::new();
    let outcome = std::fs::File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    match outcome {
        Err(error) => {
            let what = format!("{name} cannot be read ({})", error.kind());
            findings.fault(here, what, "write the path of a file that can be read");
            None
        }
        Ok(length) if u64::try_from(length).is_ok_and(|length| length > limit) => {
            let what = format!("{name} has more than {} KiB", limit / 1024);
            findings.fault(here, what, "make it smaller: it is sent with every page");
            None
        }
        Ok(_) => Some(bytes),
    }
}
