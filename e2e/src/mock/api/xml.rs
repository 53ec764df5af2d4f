//! XML as the EC2 Query API answers it: elements and text, no attributes but the namespace, everything escaped.

use std::fmt::Display;

/// The namespace of the API version that the mock speaks.
pub(super) const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// A document being written.
#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    /// The answer to a call: `<ActionResponse>` with its request id, then what `body` writes.
    pub(super) fn response(action: &str, request_id: &str, body: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"{NAMESPACE}\">\
             <requestId>{request_id}</requestId>{body}</{action}Response>"
        )
    }

    /// The answer to a call that is refused.
    pub(super) fn error(code: &str, message: &str, request_id: &str) -> String {
        let mut xml = Self::default();
        xml.node("Response", |x| {
            x.node("Errors", |x| {
                x.node("Error", |x| {
                    x.text("Code", code);
                    x.text("Message", message);
                });
            });
            x.text("RequestID", request_id);
        });
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", xml.0)
    }

    /// `<name>value</name>`.
    pub(super) fn text(&mut self, name: &str, value: impl Display) {
        self.0
            .push_str(&format!("<{name}>{}</{name}>", escaped(&value.to_string())));
    }

    /// `<name>value</name>` if there is a value.
    pub(super) fn text_if(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// `<name>...</name>` around what `body` writes.
    pub(super) fn node(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name}>"));
        body(self);
        self.0.push_str(&format!("</{name}>"));
    }

    /// A list as the API writes them: `<name><item>...</item>...</name>`.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.node(name, |x| {
            for item in items {
                x.node("item", |x| each(x, item));
            }
        });
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // XML 1.0 has no way to write the other control characters.
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out() {
        let mut xml = Xml::default();
        xml.text("value", "a<b>&\"'\u{1}</value>");
        assert_eq!(
            xml.into_text(),
            "<value>a&lt;b&gt;&amp;&quot;&apos;\u{fffd}&lt;/value&gt;</value>"
        );
    }
}
