//! Commands in the documents, which the checks run.

use std::path::Path;

use super::files;
use crate::shell::Error;

/// The blocks of commands (`console`) in a chapter of a document. There must be `N`.
pub(super) fn commands<const N: usize>(page: &Path, chapter: &str) -> Result<[String; N], Error> {
    let text = String::from_utf8_lossy(&files::read(page)?).into_owned();
    let heading = format!("{chapter}\n");
    let body = text.split("\n## ").find(|it| it.starts_with(&heading));
    let blocks = body.unwrap_or_default().split("```console\n").skip(1);
    let blocks: Vec<String> = blocks
        .filter_map(|block| Some(block.split_once("```")?.0.to_owned()))
        .collect();
    blocks.try_into().map_err(|blocks: Vec<String>| {
        Error::Found(format!(
            "{}: the chapter \"{chapter}\" has {} blocks of commands, not {N}",
            page.display(),
            blocks.len()
        ))
    })
}
