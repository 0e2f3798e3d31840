//! Answers to HostedSuite's requests.

use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{Method, Response, StatusCode};

use super::encode::{self, Answer};
use super::error::ServiceError;
use super::members::{Members, Unbindable};
use super::negotiate::{self, Format, Wishes};
use super::routes::{Operation, Request, Route, route};
use super::wire::{CallPage, ClientInfo, UserInfo};
use super::{allowances, listing};
use crate::faults::{Echo, EchoEncoding, EmptyPage, RefusedLogin, Totals};
use crate::options::HostedSuiteLogin;
use crate::state::State;
use crate::world::{Allowance, View};

/// Answers a request. With `echo` the answer is an error that repeats the request.
pub(crate) fn answer(state: &State, request: &Request<'_>, echo: Option<&Echo>) -> Response<Bytes> {
    let Some(route) = route(request.path).filter(|_| request.method == Method::POST) else {
        // A wrong method gets the same empty answer as an unknown path.
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let format = format_of(request, &route);
    if format == Format::Xml {
        return plain(
            StatusCode::NOT_IMPLEMENTED,
            "the simulator does not write XML\n",
        );
    }
    let encoded = match Members::read(header(request, &CONTENT_TYPE), request.body, request.query) {
        Err(error) => encode::error(&error, &format),
        Ok(members) => match echo {
            Some(echo) => {
                let error = ServiceError::with_request(route.name, &repeat(&members, echo));
                encode::error(&error, &format)
            }
            None => state.view(|view| match operate(state, view, &route, &members) {
                Ok(answer) => encode::answer(&answer, &format),
                Err(error) => encode::error(&error, &format),
            }),
        },
    };
    encoded.unwrap_or_else(|error| {
        tracing::error!(%error, "an answer cannot be written");
        plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the simulator has a defect\n",
        )
    })
}

fn plain(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response
}

fn format_of(request: &Request<'_>, route: &Route) -> Format {
    let mut callback = None;
    let mut format = None;
    for (name, value) in url::form_urlencoded::parse(request.query.as_bytes()) {
        match name.to_ascii_lowercase().as_str() {
            "callback" => callback = Some(value.into_owned()),
            "format" => format = Some(value.into_owned()),
            _ => {}
        }
    }
    negotiate::negotiate(&Wishes {
        suffix: route.format,
        callback: callback.as_deref(),
        format: format.as_deref(),
        accept: header(request, &ACCEPT),
        content_type: header(request, &CONTENT_TYPE),
    })
}

fn header<'a>(request: &Request<'a>, name: &HeaderName) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

/// The request as an error repeats it.
fn repeat(members: &Members, echo: &Echo) -> String {
    let members = members.repeat();
    match echo.encoding {
        EchoEncoding::Jsv => jsv::to_string(&members).unwrap_or_default(),
        EchoEncoding::Json => serde_json::to_string(&members).unwrap_or_default(),
        EchoEncoding::Url => url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&members)
            .finish(),
        EchoEncoding::Base64 => {
            let engine = base64::engine::general_purpose::STANDARD;
            let encoded = members
                .iter()
                .map(|(name, value)| format!("{name}:{}", engine.encode(value)));
            encoded.collect::<Vec<_>>().join(",")
        }
    }
}

fn operate<'a>(
    state: &State,
    view: &'a View<'a>,
    route: &Route,
    members: &Members,
) -> Result<Answer<'a>, ServiceError> {
    let login = check_login(&state.options.credentials.hostedsuite, members)
        .and_then(|()| refuse_login(view));
    let unbindable = |_: Unbindable| ServiceError::binding(route.name);
    match (route.operation, login) {
        (Operation::Authenticate, Err(Refused::Politely)) => Ok(Answer::User(UserInfo {
            authenticated: false,
            user_type: None,
            name: None,
            company_name: None,
            user_id: None,
        })),
        (_, Err(Refused::Politely)) => Err(ServiceError::security()),
        (_, Err(Refused::With(error))) => Err(error),
        (Operation::Authenticate, Ok(())) => Ok(Answer::User(UserInfo {
            authenticated: true,
            user_type: Some("Administrator"),
            name: members.text("UserName"),
            company_name: members.text("CustomerName"),
            user_id: Some("5f0c9e"),
        })),
        (Operation::Balances, Ok(())) => {
            let query = allowances::Query::read(members, view).map_err(unbindable)?;
            Ok(Answer::Balances(query.balances(view)))
        }
        (Operation::Clients, Ok(())) => Ok(Answer::Clients(clients(members, view))),
        (Operation::Calls, Ok(())) => {
            let query = listing::Query::read(members, view, state.options.newest_first)
                .map_err(unbindable)?;
            if let Some(status) = query.failure(view, &state.request_faults) {
                return Err(ServiceError::failed(status));
            }
            let off = query.without_stats.then_some(Totals::Zero);
            let page = query.page(view);
            if page.calls.is_empty() && view.faults.now.empty_page == Some(EmptyPage::NoContent) {
                return Ok(Answer::Nothing);
            }
            Ok(Answer::Calls(CallPage {
                view,
                page,
                totals: view.faults.now.totals.or(off),
            }))
        }
    }
}

enum Refused {
    With(ServiceError),
    /// With status 200 and `Authenticated: false`, if the operation has that member.
    Politely,
}

fn check_login(login: &HostedSuiteLogin, members: &Members) -> Result<(), Refused> {
    let names = ["CustomerName", "UserName", "Password"];
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| members.text(name).is_none_or(|text| text.is_empty()))
        .collect();
    if !missing.is_empty() {
        return Err(Refused::With(ServiceError::validation(&missing)));
    }
    let is = |name, expected: &str| members.text(name).is_some_and(|text| text == expected);
    let is_named = |name, expected: &str| {
        (members.text(name)).is_some_and(|text| text.to_lowercase() == expected.to_lowercase())
    };
    if is_named("CustomerName", &login.customer)
        && is_named("UserName", &login.username)
        && is("Password", &login.password)
    {
        Ok(())
    } else {
        Err(Refused::With(ServiceError::security()))
    }
}

fn refuse_login(view: &View<'_>) -> Result<(), Refused> {
    match view.faults.now.refuse_login {
        Some(RefusedLogin::SecurityException) => Err(Refused::With(ServiceError::security())),
        Some(RefusedLogin::NotAuthenticated) => Err(Refused::Politely),
        Some(RefusedLogin::Unauthorized) | None => Ok(()),
    }
}

fn clients(members: &Members, view: &View<'_>) -> Vec<ClientInfo> {
    let people = &view.world.people;
    let wanted = |name: &str, value: Option<&str>| {
        (members.filter(name)).is_none_or(|filter| value.is_some_and(|value| value == filter))
    };
    (people.clients.iter())
        .filter_map(|client| {
            let center = people.centers.get(client.center)?;
            let (kind, amount) = match client.allowance {
                Allowance::NotBillable => ("NotBillable", 0),
                Allowance::Minutes(amount) => ("NumberOfMinutes", amount),
                Allowance::Calls(amount) => ("NumberOfCalls", amount),
            };
            let is_wanted = wanted("ClientId", Some(&client.id))
                && wanted("Name", Some(&client.name))
                && wanted("CenterId", Some(&center.id))
                && wanted("ThirdPartyAccountId", client.account.as_deref())
                && wanted("ScreenPop", client.screen_pop);
            is_wanted.then(|| ClientInfo {
                id: client.id.clone(),
                date_last_modified: client.modified.clone(),
                name: client.name.clone(),
                center_id: center.id.clone(),
                center_name: center.name.clone(),
                third_party_account_id: client.account.clone(),
                call_allowance_type: kind,
                call_allowance_amount: amount,
                screen_pop: client.screen_pop,
            })
        })
        .collect()
}
