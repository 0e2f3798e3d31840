//! Writing an answer in the negotiated format.

use std::io;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use serde::Serialize;
use serde_json::ser::Formatter;

use super::error::ServiceError;
use super::negotiate::Format;
use super::wire::{BalanceRow, CallPage, ClientInfo, UserInfo, with_latin1};

const POWERED_BY: HeaderName = HeaderName::from_static("x-powered-by");

/// The answer of an operation.
pub(super) enum Answer<'a> {
    User(UserInfo),
    Balances(Vec<BalanceRow>),
    Clients(Vec<ClientInfo>),
    Calls(CallPage<'a>),
    /// 204, without a body.
    Nothing,
}

/// An answer that could not be encoded: a bug in this program.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    #[error("as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("as JSV: {0}")]
    Jsv(#[from] jsv::Error),
    #[error("as CSV: {0}")]
    Csv(#[from] csv::Error),
    #[error("as CSV: {0}")]
    Io(#[from] io::Error),
}

pub(super) fn answer(answer: &Answer<'_>, format: &Format) -> Result<Response<Bytes>, EncodeError> {
    let body = match (format, answer) {
        (_, Answer::Nothing) => Vec::new(),
        (Format::Csv, answer) => csv_of(answer)?,
        (format, Answer::User(user)) => text_of(user, format)?,
        (format, Answer::Balances(rows)) => text_of(rows, format)?,
        (format, Answer::Clients(rows)) => text_of(rows, format)?,
        (format, Answer::Calls(page)) => text_of(page, format)?,
    };
    let body = match answer {
        Answer::Calls(page) if page.view.faults.now.latin1_notes.is_some() => with_latin1(&body),
        _ => body,
    };
    if matches!(answer, Answer::Nothing) {
        return Ok(response(StatusCode::NO_CONTENT, format, body));
    }
    Ok(response(StatusCode::OK, format, body))
}

pub(super) fn error(error: &ServiceError, format: &Format) -> Result<Response<Bytes>, EncodeError> {
    let body = match format {
        Format::Csv => table(
            &["ResponseStatus"],
            [vec![jsv::to_string(&error.body.response_status)?]],
        )?,
        format => text_of(&error.body, format)?,
    };
    let mut response = response(error.status, format, body);
    // The reason phrase of HTTP/1 repeats the code.
    if let Ok(phrase) = ReasonPhrase::try_from(error.code().as_bytes()) {
        response.extensions_mut().insert(phrase);
    }
    Ok(response)
}

fn response(status: StatusCode, format: &Format, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(format.content_type());
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    let powered_by = HeaderValue::from_static("ServiceStack/5.41 NET45 Win32NT/.NET");
    headers.insert(POWERED_BY, powered_by);
    response
}

fn text_of<T: Serialize>(value: &T, format: &Format) -> Result<Vec<u8>, EncodeError> {
    Ok(match format {
        Format::Jsv(_) => jsv::to_string(value)?.into_bytes(),
        Format::Jsonp(callback) => {
            let mut body = callback.clone().into_bytes();
            body.push(b'(');
            write_json(&mut body, value)?;
            body.push(b')');
            body
        }
        Format::Html => page_of(&json_of(value)?),
        _ => json_of(value)?,
    })
}

fn json_of<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut body = Vec::with_capacity(4_096);
    write_json(&mut body, value)?;
    Ok(body)
}

fn write_json<T: Serialize>(body: &mut Vec<u8>, value: &T) -> Result<(), EncodeError> {
    let mut serializer = serde_json::Serializer::with_formatter(body, ServiceStackJson);
    Ok(value.serialize(&mut serializer)?)
}

/// Compact JSON in which NaN is written bare. Members that are null are left out, so that every
/// null here is a NaN.
struct ServiceStackJson;

impl Formatter for ServiceStackJson {
    fn write_null<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"NaN")
    }
}

/// The page for browsers, and for any other client whose Accept names no registered media type.
fn page_of(json: &[u8]) -> Vec<u8> {
    let json = String::from_utf8_lossy(json)
        .replace('&', "&amp;")
        .replace('<', "&lt;");
    format!(
        "<!doctype html>\n<html lang=\"en-us\">\n<head><title>HostedSuite Snapshot</title></head>\n\
         <body>\n<h1>Snapshot</h1>\n<p>View this page as <a href=\"?format=json\">json</a>, \
         <a href=\"?format=xml\">xml</a>, <a href=\"?format=csv\">csv</a>, \
         <a href=\"?format=jsv\">jsv</a></p>\n<pre>{json}</pre>\n</body>\n</html>\n"
    )
    .into_bytes()
}

fn csv_of(answer: &Answer<'_>) -> Result<Vec<u8>, EncodeError> {
    match answer {
        Answer::Balances(rows) => table(
            &[
                "ClientId",
                "ThirdPartyAccountId",
                "ClientName",
                "AllowanceDescription",
                "NumCalls",
                "NumMins",
                "Balance",
                "BalanceDescription",
            ],
            rows.iter().map(|row| {
                vec![
                    row.client_id.clone(),
                    row.third_party_account_id.clone().unwrap_or_default(),
                    row.client_name.clone(),
                    row.allowance_description.clone(),
                    row.num_calls.to_string(),
                    row.num_mins.to_string(),
                    row.balance.to_string(),
                    row.balance_description.clone(),
                ]
            }),
        ),
        Answer::Clients(rows) => table(
            &[
                "Id",
                "DateLastModified",
                "Name",
                "CenterId",
                "CenterName",
                "ThirdPartyAccountId",
                "CallAllowanceType",
                "CallAllowanceAmount",
                "ScreenPop",
            ],
            rows.iter().map(|row| {
                vec![
                    row.id.clone(),
                    row.date_last_modified.clone(),
                    row.name.clone(),
                    row.center_id.clone(),
                    row.center_name.clone(),
                    row.third_party_account_id.clone().unwrap_or_default(),
                    row.call_allowance_type.to_owned(),
                    row.call_allowance_amount.to_string(),
                    row.screen_pop.unwrap_or_default().to_owned(),
                ]
            }),
        ),
        Answer::User(user) => table(
            &["Authenticated", "UserType", "Name", "CompanyName", "UserId"],
            [vec![
                if user.authenticated { "True" } else { "False" }.to_owned(),
                user.user_type.unwrap_or_default().to_owned(),
                user.name.clone().unwrap_or_default(),
                user.company_name.clone().unwrap_or_default(),
                user.user_id.unwrap_or_default().to_owned(),
            ]],
        ),
        Answer::Nothing => Ok(Vec::new()),
        // Not a table of calls: one row, the list in one cell.
        Answer::Calls(page) => table(
            &["Items", "Page", "TotalCount", "TotalPages"],
            [vec![
                jsv::to_string(&page.items())?,
                page.page.number.to_string(),
                page.page.total.to_string(),
                page.page.pages.to_string(),
            ]],
        ),
    }
}

fn table(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row)?;
    }
    (writer.into_inner()).map_err(|error| EncodeError::Io(error.into_error()))
}
