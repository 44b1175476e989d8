"""What `extract` says at its end about PDF files with pages that have no text."""

from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.stages.extract.pdf import SCANS
from corpusmill.stages.extract.stage import PAGES_WITHOUT_TEXT


def remark(folder: str, manifest: Manifest) -> str:
    """How many files were left out, how many were kept without such pages, and what reads them.
    Empty if there are none.
    """
    out = sum(account.excluded.get(reason, 0) for account in manifest.totals for reason in SCANS)
    name = PAGES_WITHOUT_TEXT.name
    documents = manifest.documents()
    # The first file tells whether the run reads PDF: a crawl has thousands of files to open.
    has_pages = bool(documents) and name in schema_of(documents[0]).names
    kept = sum(
        table.num_rows - table[name].null_count
        for output in (documents if has_pages else ())
        for table in read_parquet(output, [name])
    )
    said = []
    if out:
        said.append(
            f"{out:,} PDF {'file is a scan' if out == 1 else 'files are scans'}, left out: "
            f"corpusmill ocr --input '{folder.rstrip('/')}/excluded/*.parquet' reads them"
        )
    if kept:
        said.append(
            f"{kept:,} PDF {'file is' if kept == 1 else 'files are'} kept without the pages that "
            f"have no text ({name}): set extract.scanned_pages to exclude, and ocr reads them whole"
        )
    return "\n".join(said)
