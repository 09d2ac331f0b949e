//! Receipts as people read them: a table of many, a page of one.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use polywire_store::{Outcome, Receipt, ReceiptFault, ReceiptSummary, ReceiptUsage};

use crate::columns::{CELL_MAX, columns};
use crate::printable::printable;

const HEADS: [&str; 8] = [
    "WHEN", "ID", "CLIENT", "MODEL", "OUTCOME", "TOKENS", "COST", "LOSSES",
];

/// A head, and one line for each receipt.
pub(crate) fn table(receipts: &[ReceiptSummary]) -> Vec<String> {
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(receipts.iter().map(cells));
    columns(&rows, CELL_MAX)
}

fn cells(receipt: &ReceiptSummary) -> [String; 8] {
    [
        when(receipt.began_unix_ms),
        receipt.id.clone(),
        client(receipt.client.as_deref(), &receipt.dialect),
        model(&receipt.model_asked, &receipt.target),
        outcome(receipt.outcome, receipt.reason.as_deref()),
        tokens(receipt),
        cost(receipt.cost_usd, 4),
        losses(receipt.losses, receipt.worst_loss),
    ]
}

/// Local time, to the second.
fn when(unix_ms: u64) -> String {
    let instant = i64::try_from(unix_ms)
        .ok()
        .and_then(|unix_ms| Timestamp::from_millisecond(unix_ms).ok());
    instant.map_or_else(
        || "-".to_owned(),
        |instant| {
            let local = instant.to_zoned(TimeZone::system());
            local.strftime("%Y-%m-%d %H:%M:%S").to_string()
        },
    )
}

fn client(client: Option<&str>, dialect: &str) -> String {
    match client {
        Some(client) => format!("{client} {dialect}"),
        None => dialect.to_owned(),
    }
}

fn model(asked: &str, target: &str) -> String {
    match (asked, target) {
        (asked, "") => asked.to_owned(),
        (asked, target) if asked == target => asked.to_owned(),
        (asked, target) => format!("{asked} → {target}"),
    }
}

fn outcome(outcome: Outcome, reason: Option<&str>) -> String {
    let word = match outcome {
        Outcome::ClientLeft => "client left",
        Outcome::Finished => "finished",
        Outcome::Failed => "failed",
    };
    match reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    }
}

fn tokens(receipt: &ReceiptSummary) -> String {
    let about = if receipt.estimated { "about " } else { "" };
    match (receipt.input_tokens, receipt.output_tokens) {
        (None, None) => "-".to_owned(),
        (input, output) => format!("{about}{} in, {} out", known(input), known(output)),
    }
}

fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "?".to_owned(), |count| count.to_string())
}

/// US dollars. A turn often costs parts of a cent.
fn cost(usd: Option<f64>, digits: usize) -> String {
    usd.map_or_else(|| "-".to_owned(), |usd| format!("${usd:.digits$}"))
}

fn losses(count: u64, worst: Option<&str>) -> String {
    match (count, worst) {
        (0, _) => "-".to_owned(),
        (count, Some(worst)) => format!("{count} ({worst})"),
        (count, None) => count.to_string(),
    }
}

/// Everything of one receipt, in lines.
pub(crate) fn page(receipt: &Receipt) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: &str| {
        lines.push(format!("{name:<8}  {}", printable(value)));
    };
    line("turn", &receipt.id);
    line("began", &when(receipt.began_unix_ms));
    line(
        "client",
        &client(receipt.client.as_deref(), &receipt.dialect),
    );
    line("model", &model(&receipt.model_asked, &receipt.target));
    line("outcome", &ending(receipt));
    for (number, attempt) in receipt.attempts.iter().enumerate() {
        let outcome = outcome(attempt.outcome, None);
        let fault = attempt.fault.as_ref().map(fault).unwrap_or_default();
        let attempt = format!("{}. {}: {outcome}{fault}", number + 1, attempt.target);
        line(if number == 0 { "tried" } else { "" }, &attempt);
    }
    line("tokens", &all_tokens(receipt.usage));
    line("cost", &cost(receipt.cost_usd, 6));
    line("time", &time(receipt));
    let (request, answer) = (receipt.request_bytes, receipt.answer_bytes);
    line("bytes", &format!("{request} asked, {answer} answered"));
    line("tools", &format!("{} lowered", receipt.lowered_tools));
    line("strict", if receipt.strict { "yes" } else { "no" });
    lines.extend(loss_lines(receipt));
    lines
}

fn ending(receipt: &Receipt) -> String {
    let status = receipt.status;
    format!(
        "{}{}{}",
        outcome(receipt.outcome, receipt.finish.as_deref()),
        receipt.fault.as_ref().map(fault).unwrap_or_default(),
        status.map_or_else(String::new, |status| format!(" (status {status})")),
    )
}

fn fault(fault: &ReceiptFault) -> String {
    let code = fault.code.as_ref();
    let code = code.map_or_else(String::new, |code| format!(" {code}"));
    format!(", {}{code}: {}", fault.class, fault.message)
}

fn all_tokens(usage: Option<ReceiptUsage>) -> String {
    let Some(usage) = usage else {
        return "not known".to_owned();
    };
    let part = |count: Option<u64>, what: &str| {
        count
            .filter(|count| *count > 0)
            .map(|count| format!(", {count} {what}"))
            .unwrap_or_default()
    };
    format!(
        "{} in{}{}; {} out{}{}",
        known(usage.input),
        part(usage.cached, "from the cache"),
        part(usage.cache_write, "written to the cache"),
        known(usage.output),
        part(usage.reasoning, "for reasoning"),
        if usage.estimated { "; an estimate" } else { "" },
    )
}

fn time(receipt: &Receipt) -> String {
    let total = format!("{} ms in all", receipt.timings.total_ms);
    match receipt.timings.first_ms {
        Some(first_ms) => format!("{first_ms} ms to the first part of the answer, {total}"),
        None => total,
    }
}

fn loss_lines(receipt: &Receipt) -> Vec<String> {
    if receipt.losses.is_empty() && receipt.losses_left_out == 0 {
        return vec!["losses    none".to_owned()];
    }
    let mut lines = vec!["losses".to_owned()];
    let mut losses: Vec<_> = receipt.losses.iter().collect();
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.severity));
    lines.extend(losses.iter().map(|loss| {
        format!(
            "  {:<8}  {}: {}",
            loss.severity_name(),
            printable(&loss.what),
            printable(&loss.why)
        )
    }));
    if receipt.losses_left_out > 0 {
        lines.push(format!("  and {} more", receipt.losses_left_out));
    }
    lines
}
