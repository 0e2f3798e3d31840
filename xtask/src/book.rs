//! Builds the documentation as a book with mdBook, and checks that its pages and links are there.
//!
//! Pages are in `docs/` and elsewhere in the repository, so that they can be read without the book.
//! All of them, and the files that they link to, are copied to one directory with the same paths.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::shell::{Error, Shell, run};
use crate::tools::{self, MDBOOK};

/// The list of pages, as it is linked from `docs/`.
const SUMMARY: &str = "docs/SUMMARY.md";

pub(crate) fn build(shell: &Shell) -> Result<(), Error> {
    let directory = shell.target.join("book");
    let pages = directory.join("pages");
    if directory.exists() {
        std::fs::remove_dir_all(&directory).map_err(|source| file_error(&directory, source))?;
    }
    let summary = read(&shell.root.join(SUMMARY))?;
    let listed: BTreeSet<PathBuf> = targets(Path::new(SUMMARY), &summary).collect();
    let mut problems = missing_pages(&shell.root.join("docs"), &listed)?;
    for page in &listed {
        let text = read(&shell.root.join(page))?;
        copy(&shell.root, &pages, page)?;
        for target in targets(page, &text) {
            if !shell.root.join(&target).is_file() {
                let (page, target) = (page.display(), target.display());
                problems.push(format!("{page}: there is no file {target} to link to"));
            } else if is_page(&target) && !listed.contains(&target) {
                let (page, target) = (page.display(), target.display());
                problems.push(format!("{page}: {SUMMARY} does not list {target}"));
            } else if !listed.contains(&target) {
                copy(&shell.root, &pages, &target)?;
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::Found(problems.join("\n")));
    }
    write(&pages.join("SUMMARY.md"), &from_root(&summary))?;
    let settings = read(&shell.root.join("book.toml"))?;
    write(&directory.join("book.toml"), &settings)?;
    let programs = tools::python(shell, &[MDBOOK])?;
    run(shell
        .command(programs.join("mdbook"))
        .arg("build")
        .arg(&directory))
}

/// The pages of `docs/` that the summary does not list.
fn missing_pages(docs: &Path, listed: &BTreeSet<PathBuf>) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(docs).map_err(|source| file_error(docs, source))? {
        let entry = entry.map_err(|source| file_error(docs, source))?;
        let page = Path::new("docs").join(entry.file_name());
        if is_page(&page) && page != Path::new(SUMMARY) && !listed.contains(&page) {
            missing.push(format!("{SUMMARY}: {} is not listed", page.display()));
        }
    }
    missing.sort();
    Ok(missing)
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "md")
}

/// The files that a page links to, from the repository's root. Blocks of code have no links.
fn targets<'t>(page: &'t Path, text: &'t str) -> impl Iterator<Item = PathBuf> + 't {
    let directory = page.parent().unwrap_or(Path::new(""));
    let prose = text.split("```").step_by(2);
    let links = prose.flat_map(|prose| prose.split("](").skip(1));
    links
        .filter_map(|rest| rest.split([')', '#', ' ']).next())
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .map(move |link| normal(&directory.join(link)))
}

/// The path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}

/// The summary with links from the repository's root.
fn from_root(summary: &str) -> String {
    summary.replace("](", "](docs/").replace("](docs/../", "](")
}

fn copy(root: &Path, pages: &Path, file: &Path) -> Result<(), Error> {
    let to = pages.join(file);
    let directory = to.parent().unwrap_or(pages);
    std::fs::create_dir_all(directory).map_err(|source| file_error(directory, source))?;
    let from = root.join(file);
    std::fs::copy(&from, &to).map_err(|source| file_error(&from, source))?;
    Ok(())
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| file_error(path, source))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files_from_the_root() {
        let text = "See [a](A.md#part), [b](../B.md), [c](https://example.com/C.md) and ![d](d.png).\n\
                    ```sh\nx](no.md)\n```\n[e](#here) [f](sub/F.md \"title\")";
        let found: Vec<PathBuf> = targets(Path::new("docs/PAGE.md"), text).collect();
        let expected = ["docs/A.md", "B.md", "docs/d.png", "docs/sub/F.md"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn the_summary_is_moved_to_the_root() {
        let summary = "[Start](../README.md)\n- [Use](USE.md)\n  - [c](../crates/c/README.md)\n";
        let moved = "[Start](README.md)\n- [Use](docs/USE.md)\n  - [c](crates/c/README.md)\n";
        assert_eq!(from_root(summary), moved);
    }
}
