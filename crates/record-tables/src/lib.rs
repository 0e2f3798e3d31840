//! The columns of every stream of records, one table for each stream.
//!
//! A table is a macro that passes its lines to another macro. `callmeter-records` makes the Arrow
//! schema, the builder, the view, the fingerprint and `docs/RECORDS.md` from it, the plugin SDK
//! makes its accessors, and the exporter makes the conversion of what the API sent.
//!
//! A line is `field: kind = "Member", "Description.";`. The column has the name of the field unless
//! the line says `field as "column"`. A unit follows the kind, as in `int("s")`; the unit of `time`
//! and `millis` is always the same. `Member` is the name of the source member as it appears in the
//! column `unreadable`; it is empty for what callmeter computes. The order is the order of the
//! columns, and part of the fingerprint.
//!
//! | kind | Arrow type | value |
//! | --- | --- | --- |
//! | `text` | `Utf8` | text as the API wrote it |
//! | `id` | `Utf8` | the same; empty text is null |
//! | `time` | `Timestamp(µs, "+00:00")` | a moment |
//! | `millis` | `Int64` | a duration, to the nearest millisecond |
//! | `int` | `Int32` | a whole number |
//! | `long` | `Int64` | a large whole number |
//! | `decimal` | `Decimal128(38, 9)` | an exact decimal |
//! | `truth` | `Boolean` | a truth value |
//! | `texts` | `List(Utf8)` | a list of texts |
//! | `interactions` | `List(Struct)` | the lines of [`interactions!`] |

/// The table of the stream `calls`.
#[macro_export]
macro_rules! calls {
    ($callback:ident $($arguments:tt)*) => {
        $callback! { $($arguments)*
            id: id = "Id", "The service's id.";
            client_id: text = "ClientId", "The client that was called, or that called.";
            client_name: text = "ClientName", "The client's name. Not unique.";
            center_id: text = "CenterId", "The center that took the call.";
            start_time: time = "StartTime", "When the call began.";
            caller_name: text = "CallerName", "The name of the other side. Personal data.";
            caller_number: text = "CallerNumber", "The number of the other side. Personal data.";
            transfer_to_name: text = "TransferToName", "The name of who the call was transferred to. Personal data.";
            transfer_to_number: text = "TransferToNumber", "The number that the call was transferred to. Personal data.";
            notes: text = "Notes", "What the receptionist wrote. May hold personal data.";
            duration_ms: millis = "DurationInSeconds", "The whole call.";
            ring_ms: millis = "RingTimeInSeconds", "Time until the call was answered.";
            hold_ms: millis = "HoldTimeInSeconds", "Time that the caller was on hold.";
            talk_ms: millis = "TalkTimeInSeconds", "Time of talk.";
            transfer_ms: millis = "TransferTimeInSeconds", "Time that the transfer took.";
            work_ms: millis = "WorkTimeInSeconds", "Time of work after the call.";
            hold_count: int = "HoldCount", "How often the caller was put on hold.";
            interactions: interactions = "Interactions", "What happened during the call, in order.";
            completed_form_ids: texts = "CompletedFormIds", "The ids of the forms that were filled in.";
            answered_by: text = "AnsweredBy", "Who answered.";
            server: text = "Server", "The server that carried the call.";
            screen_pop: text = "ScreenPop", "The screen pop that was shown. May hold personal data.";
            flagged: truth = "Flagged", "Whether somebody flagged the call.";
            flag_notes: text = "FlagNotes", "Why it was flagged. May hold personal data.";
            call_type as "type": text = "Type", "The direction as the API wrote it: `Incoming`, `Outgoing` or another word.";
        }
    };
}

/// The table of the members of the column `interactions` of the stream `calls`.
#[macro_export]
macro_rules! interactions {
    ($callback:ident $($arguments:tt)*) => {
        $callback! { $($arguments)*
            start_time: time = "StartTime", "When it happened.";
            interaction_type as "type": text = "Type", "What happened, as the API wrote it: `Answer`, `Hold`, `Hangup` …";
            description: text = "Description", "What happened, in words. May hold personal data.";
        }
    };
}

/// The table of the stream `balances`.
#[macro_export]
macro_rules! balances {
    ($callback:ident $($arguments:tt)*) => {
        $callback! { $($arguments)*
            period_start: time = "StartDate", "The first moment of the period that was asked for.";
            period_end: time = "EndDate", "The first moment after that period.";
            client_id: text = "ClientId", "The client.";
            third_party_account_id: text = "ThirdPartyAccountId", "The client's account in another system.";
            client_name: text = "ClientName", "The client's name. Not unique.";
            allowance_description: text = "AllowanceDescription", "The allowance in words.";
            num_calls: decimal("calls") = "NumCalls", "Calls in the period.";
            num_mins: decimal("min") = "NumMins", "Minutes in the period.";
            balance: decimal("unit of the allowance") = "Balance", "What is left, as the API states it.";
            balance_description: text = "BalanceDescription", "The balance in words.";
        }
    };
}

/// The table of the stream `rates`.
#[macro_export]
macro_rules! rates {
    ($callback:ident $($arguments:tt)*) => {
        $callback! { $($arguments)*
            id: text = "id", "The API's id.";
            prefix: text = "prefix", "The prefix that the rate is for.";
            rate_type as "type": text = "type", "The kind of destination, as the API wrote it.";
            free_seconds: int("s") = "free_seconds", "Seconds that are free after the first interval.";
            grace_period: int("s") = "grace_period", "Calls shorter than this are free.";
            interval_1: int("s") = "interval_1", "Length of the first interval.";
            interval_n: int("s") = "interval_n", "Length of each further interval.";
            connect_fee: decimal("currency") = "connect_fee", "Charged for each answered call.";
            postcall_surcharge: decimal("fraction") = "postcall_surcharge", "Fraction added to the cost.";
            price_1: decimal("currency/min") = "price_1", "Price of a minute in the first interval.";
            price_n: decimal("currency/min") = "price_n", "Price of a minute in further intervals.";
            description: text = "description", "The rate in words.";
        }
    };
}

/// The table of the stream `billing`.
#[macro_export]
macro_rules! billing {
    ($callback:ident $($arguments:tt)*) => {
        $callback! { $($arguments)*
            enabled: truth = "enabled", "Whether calls are billed.";
            billed_account: text = "account", "Which account is billed, as the API wrote it.";
            charging_type: text = "type", "Online or offline charging, as the API wrote it.";
            balance: decimal("currency") = "balance", "The tenant's balance.";
            currency: text = "currency", "The currency of the balance: three letters, ISO 4217, in capitals. Null for any other text.";
        }
    };
}

/// The table of the stream `charges`.
#[macro_export]
macro_rules! charges {
    ($callback:ident $($arguments:tt)*) => {
        $callback! { $($arguments)*
            charge: text = "", "The entry of `charges` in the configuration.";
            rule: text = "", "The rule of that entry by which the call is charged.";
            call_id: id = "", "The service's id of the call.";
            call_sequence: long = "", "The `sequence` of the call in the stream `calls`.";
            call_revision: int = "", "The revision of the call.";
            client_id: text = "", "The client of the call.";
            client_name: text = "", "The client's name. Not unique.";
            center_id: text = "", "The center of the call.";
            start_time: time = "", "When the call began.";
            direction: text = "", "Which way the call went: `incoming`, `outgoing`, `transfer`, `other` or `unknown`.";
            charged_ms: millis = "", "The time that is charged, before intervals; null if it is not known.";
            rate_id: text = "", "The id of the rate.";
            rate_type: text = "", "The kind of destination, as the API wrote it.";
            prefix: text = "", "The prefix of the number that the rate is for, in digits.";
            billed_seconds: int("s") = "", "The seconds of the charged intervals; null if the call is not charged.";
            amount: decimal("currency") = "", "What the call costs; null if it is not charged.";
            currency: text = "", "The currency of the amount, ISO 4217.";
            reason: text = "", "Why the call is not charged; null if it is.";
            deck: text = "", "A fingerprint of the deck and its options: the same deck has the same one.";
            previous_sequence: long = "", "The `sequence` of the charge before this revision.";
            previous_client_id: text = "", "The client of the charge before this revision.";
            previous_rate_type: text = "", "The kind of destination of the charge before this revision.";
            previous_currency: text = "", "The currency of the charge before this revision.";
            previous_billed_seconds: int("s") = "", "The billed seconds of the charge before this revision; null if there was none.";
            previous_amount: decimal("currency") = "", "The amount of the charge before this revision; null if there was none.";
        }
    };
}
