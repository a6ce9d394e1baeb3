//! The config as it is written, and as it is run.

use serde::Deserialize;

/// Unless the config says otherwise.
const MAX_ROWS: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Json,
    Csv,
    Xml,
    Form,
    Ndjson,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Xml => "XML",
            Self::Form => "form-encoded",
            Self::Ndjson => "NDJSON",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Xml => "application/xml",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with \"from\" and \"to\", each a format"
)]
struct Document {
    from: Format,
    to: Format,
    #[serde(default)]
    split: bool,
    max_rows: Option<usize>,
    datacontenttype: Option<String>,
    csv: Option<CsvDocument>,
    xml: Option<Xml>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CsvDocument {
    delimiter: Option<String>,
    #[serde(default)]
    header: Header,
    #[serde(default)]
    infer: bool,
}

/// Where the names of columns come from.
#[derive(Deserialize)]
#[serde(untagged, expecting = "header is true, false, or a list of names")]
pub(crate) enum Header {
    /// True: the first row has them. False: there are none, and rows are arrays.
    There(bool),
    /// These, and no row has them on the way in; on the way out they are written.
    Names(Vec<String>),
}

impl Default for Header {
    fn default() -> Self {
        Self::There(true)
    }
}

/// How CSV is read and written.
pub(crate) struct Csv {
    pub(crate) delimiter: u8,
    pub(crate) header: Header,
    /// Numbers, booleans and empty fields become JSON's own.
    pub(crate) infer: bool,
}

/// How XML is read and written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Xml {
    /// The element around data that is not an object of one member.
    pub(crate) root: Option<String>,
    /// The element around each item of data that is an array.
    pub(crate) item: Option<String>,
    /// Elements that are an array also where there is one of them.
    #[serde(default)]
    pub(crate) arrays: Vec<String>,
}

#[derive(Deserialize)]
#[serde(try_from = "Document")]
pub(crate) struct Config {
    pub(crate) from: Format,
    pub(crate) to: Format,
    pub(crate) split: bool,
    pub(crate) max_rows: usize,
    /// Of the outputs.
    pub(crate) datacontenttype: String,
    pub(crate) csv: Csv,
    pub(crate) xml: Xml,
}

impl TryFrom<Document> for Config {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let Document {
            from, to, split, ..
        } = document;
        if from == to && !split {
            return Err("/to: is the same as from, and nothing is split".to_owned());
        }
        if split && matches!(from, Format::Xml | Format::Form) {
            return Err(format!("/split: {} has no rows", from.name()));
        }
        let used = |format: Format| from == format || to == format;
        if document.csv.is_some() && !used(Format::Csv) {
            return Err("/csv: neither from nor to is csv".to_owned());
        }
        if document.xml.is_some() && !used(Format::Xml) {
            return Err("/xml: neither from nor to is xml".to_owned());
        }
        let csv = document.csv.unwrap_or_default();
        let delimiter = match csv.delimiter.as_deref().unwrap_or(",").as_bytes() {
            [one] if one.is_ascii() && !matches!(one, b'"' | b'\n' | b'\r') => *one,
            _ => {
                return Err(
                    "/csv/delimiter: is one ASCII character, no quote or line end".to_owned(),
                );
            }
        };
        if let Header::Names(names) = &csv.header {
            check_names(names).map_err(|reason| format!("/csv/header: {reason}"))?;
        }
        let max_rows = document.max_rows.unwrap_or(MAX_ROWS);
        if max_rows == 0 {
            return Err("/max_rows: must be at least 1".to_owned());
        }
        Ok(Self {
            from,
            to,
            split,
            max_rows,
            datacontenttype: document
                .datacontenttype
                .unwrap_or_else(|| to.media_type().to_owned()),
            csv: Csv {
                delimiter,
                header: csv.header,
                infer: csv.infer,
            },
            xml: document.xml.unwrap_or_default(),
        })
    }
}

/// Names of columns must differ, or values would be lost.
pub(crate) fn check_names(names: &[String]) -> Result<(), String> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two columns have the name {:?}", pair[0])),
        None if names.is_empty() => Err("there are no columns".to_owned()),
        None => Ok(()),
    }
}
