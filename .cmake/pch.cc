int polder_pch_anchor;
