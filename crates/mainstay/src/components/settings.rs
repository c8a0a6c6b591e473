//! The settings of one component, as they are read: names in any case, as in Dapr.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::did_you_mean;
use crate::resources::{Component, Setting, SettingValue};

/// Reads the settings of one component and remembers which names mean something.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    component: &'a Component,
    diagnostics: &'a mut Diagnostics,
    known: Vec<&'static str>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(component: &'a Component, diagnostics: &'a mut Diagnostics) -> Self {
        Self {
            component,
            diagnostics,
            known: Vec::new(),
        }
    }

    /// The setting of this name, whatever its value.
    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Setting> {
        self.known.push(name);
        let mut settings = self.component.settings.iter();
        settings.find(|setting| setting.name.eq_ignore_ascii_case(name))
    }

    /// The text of a setting that is no secret; empty is none.
    pub(super) fn text(&mut self, name: &'static str) -> Option<(&'a str, &'a Place)> {
        let setting = self.get(name)?;
        match &setting.value {
            SettingValue::Text(text) if text.is_empty() => None,
            SettingValue::Text(text) => Some((text, &setting.place)),
            SettingValue::Secret { .. } => {
                let message = format!("`{name}` is no secret: write its value here");
                self.wrong(
                    &setting.place,
                    message,
                    "only keys and passwords come from a secret store",
                );
                None
            }
        }
    }

    /// Names that mean something in Dapr and nothing here, yet.
    pub(super) fn unused(&mut self, names: &[&'static str]) {
        for name in names {
            if let Some(setting) = self.get(name) {
                let message = format!(
                    "`{name}` of the component `{}` is not used yet",
                    self.component.name
                );
                let note = Diagnostic::error(Code::NOT_USED, setting.place.clone(), message).note();
                self.diagnostics.push(note);
            }
        }
    }

    /// Whether a setting says yes, in one of the words that Dapr knows.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        let Some((text, place)) = self.text(name) else {
            return false;
        };
        match text.to_lowercase().as_str() {
            "true" | "t" | "1" | "y" | "yes" | "on" => true,
            "false" | "f" | "0" | "n" | "no" | "off" => false,
            _ => {
                let message = format!("`{name}` is `{text}`");
                self.wrong(place, message, "write true or false");
                false
            }
        }
    }

    /// The settings do not fit together.
    pub(super) fn wrong_whole(&mut self, message: String) {
        let place = self.component.place.clone();
        self.diagnostics
            .push(Diagnostic::error(Code::WRONG_FORM, place, message));
    }

    /// A setting has a value that it cannot have.
    pub(super) fn wrong(&mut self, place: &Place, message: String, help: &str) {
        let wrong = Diagnostic::error(Code::WRONG_FORM, place.clone(), message);
        self.diagnostics.push(wrong.help(help));
    }

    /// Tells of names that mean nothing. Dapr ignores them, so its files may have some.
    pub(super) fn finish(self) {
        for setting in &self.component.settings {
            if self
                .known
                .iter()
                .any(|name| setting.name.eq_ignore_ascii_case(name))
            {
                continue;
            }
            let message = format!("`{}` means nothing to `{}`", setting.name, self.component.kind);
            let help = did_you_mean(&setting.name, self.known.clone());
            let unknown = Diagnostic::error(Code::UNKNOWN_KEY, setting.place.clone(), message);
            self.diagnostics.push(unknown.help(help).warning());
        }
    }
}
